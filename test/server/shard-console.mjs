// Loaded before a daemon of a test (NODE_OPTIONS=--import): runs pieces of code in its shards, which then die or stall
// as no setting could make them. Asked over the Unix socket that SHARD_CONSOLE names, with one line of JSON for each
// connection: { shard, code }. Answered with "done" when the code has run or the thread was told to.

import { Session } from "node:inspector"
import { createServer } from "node:net"
import { isMainThread } from "node:worker_threads"

if (isMainThread && process.env.SHARD_CONSOLE !== undefined) {
  const session = new Session()
  session.connect()
  /** Sessions by name of the thread; a thread that comes after a dead one takes its name over. */
  const workers = new Map()
  session.on("NodeWorker.attachedToWorker", ({ params: { sessionId, workerInfo } }) => {
    const name = /shard-\d+/.exec(workerInfo.title)?.[0]
    if (name !== undefined) workers.set(name, sessionId)
  })
  session.post("NodeWorker.enable", { waitForDebuggerOnStart: false })
  const server = createServer((socket) => {
    socket.setEncoding("utf8")
    socket.once("data", (line) => {
      const { shard, code } = JSON.parse(line)
      const message = JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression: code } })
      session.post(
        "NodeWorker.sendMessageToWorker",
        { sessionId: workers.get(`shard-${shard}`), message },
        (error) => socket.end(error === null ? "done" : String(error.message)),
      )
    })
  })
  server.listen(process.env.SHARD_CONSOLE).unref()
}
