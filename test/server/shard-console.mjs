// Loaded before a daemon of a test and in each of its threads (NODE_OPTIONS=--import): runs pieces of code in its shards,
// which then die or stall as no setting could make them. Asked over the Unix socket that SHARD_CONSOLE names, with one line
// of JSON for each connection: { shard, code }. Answered with "done" when the thread was told to run it, in a turn of its
// event loop. With `next: true` it is the thread that comes after the present one, and told with its start.
//
// Not over the inspector, which in Node 20 loses what it is told while a thread starts, or ends the process.

import { channel } from "node:diagnostics_channel"
import { createServer } from "node:net"
import { BroadcastChannel, isMainThread, threadId } from "node:worker_threads"

const threads = new BroadcastChannel("shard-console")
threads.unref()

if (!isMainThread) {
  threads.onmessage = ({ data: { to, code } }) => {
    // biome-ignore lint/security/noGlobalEval: that is what it is for
    if (to === threadId) globalThis.eval(code)
  }
  threads.postMessage({ from: threadId })
} else if (process.env.SHARD_CONSOLE !== undefined) {
  const here = new Set()
  /** The id of the thread of each shard. */
  const shards = new Map()
  /** What the next thread of a shard is told. */
  const waiting = new Map()
  /** What is told to threads that do not listen yet. */
  const unheard = new Map()
  const tell = (to, code, told) => {
    if (!here.has(to)) return void unheard.set(to, () => tell(to, code, told))
    threads.postMessage({ to, code })
    told()
  }
  threads.onmessage = ({ data: { from } }) => {
    if (from === undefined) return
    here.add(from)
    unheard.get(from)?.()
  }
  channel("worker_threads").subscribe(({ worker }) => {
    const post = worker.postMessage
    worker.postMessage = function (message, transfer) {
      post.call(this, message, transfer)
      // The first message to the thread of a shard is its start.
      const { index, beat } = message ?? {}
      if (beat === undefined) return
      shards.set(index, worker.threadId)
      waiting.get(index)?.(worker.threadId)
      waiting.delete(index)
    }
  })
  const server = createServer((socket) => {
    socket.setEncoding("utf8")
    socket.once("data", (line) => {
      const { shard, code, next } = JSON.parse(line)
      const told = () => socket.end("done")
      if (next) waiting.set(shard, (thread) => tell(thread, code, told))
      else tell(shards.get(shard), code, told)
    })
  })
  server.listen(process.env.SHARD_CONSOLE).unref()
}
