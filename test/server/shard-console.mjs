// Loaded before a daemon of a test (NODE_OPTIONS=--import): runs pieces of code in its shards, which then die or stall
// as no setting could make them. Asked over the Unix socket that SHARD_CONSOLE names, with one line of JSON for each
// connection: { shard, code }. Answered with "done" when the code has run or the thread was told to. With `next: true` it
// is run in the thread that comes after the present one, as the first thing there.

import { Session } from "node:inspector"
import { createServer } from "node:net"
import { isMainThread } from "node:worker_threads"

if (isMainThread && process.env.SHARD_CONSOLE !== undefined) {
  const session = new Session()
  session.connect()
  /** Sessions by name of the thread; a thread that comes after a dead one takes its name over. */
  const workers = new Map()
  /** What is to be done when a thread of this name comes. */
  const waiting = new Map()
  session.on("NodeWorker.attachedToWorker", ({ params: { sessionId, workerInfo } }) => {
    const name = /shard-\d+/.exec(workerInfo.title)?.[0]
    if (name === undefined) return
    workers.set(name, sessionId)
    waiting.get(name)?.()
    waiting.delete(name)
  })
  session.post("NodeWorker.enable", { waitForDebuggerOnStart: false })
  const server = createServer((socket) => {
    socket.setEncoding("utf8")
    socket.once("data", (line) => {
      const { shard, code, next } = JSON.parse(line)
      const name = `shard-${shard}`
      const message = JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression: code } })
      const run = () =>
        session.post("NodeWorker.sendMessageToWorker", { sessionId: workers.get(name), message }, (error) =>
          socket.end(error === null ? "done" : String(error.message)),
        )
      if (next) waiting.set(name, run)
      else run()
    })
  })
  server.listen(process.env.SHARD_CONSOLE).unref()
}
