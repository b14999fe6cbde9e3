// A shard's way to another one: both ends over a real port.

import { deepStrictEqual, rejects, strictEqual, throws } from "node:assert"
import { MessageChannel } from "node:worker_threads"
import { EngineError, isEngineError } from "@varve/engines"
import { isVarveError, type ScanRequest, VarveError } from "@varve/proto"
import { afterEach, test } from "vitest"
import { decodeError, encodeError } from "./error-message.ts"
import { Peer } from "./peer.ts"
import { type PeerHandlers, servePeer } from "./peer-service.ts"

const bytes = (text: string): Buffer => Buffer.from(text)
const scanRequest: ScanRequest = {
  store: "",
  prefix: bytes(""),
  start: bytes(""),
  end: bytes(""),
  keysOnly: false,
  limit: 0n,
}

/** What the other shard was asked for. */
let asked: string[] = []
let pagesMade = 0
let scansEnded = 0

const handlers: PeerHandlers = {
  get: ({ key }) => {
    asked.push(String(key))
    if (String(key) === "damaged") throw new EngineError("DATA_LOSS", "the run is damaged")
    return { found: true, value: bytes(`of ${key}`) }
  },
  set: ({ key }) => {
    asked.push(String(key))
    return new Promise(() => undefined)
  },
  delete: () => ({}),
  getMany: () => ({ values: [] }),
  write: () => {
    throw new VarveError("WRONG_PARTITION", "elsewhere", { metadata: { partition: "3" } })
  },
  frame: ({ id }) => ({ id, result: { $case: "written", value: 1 } }),
  async *scan() {
    try {
      for (let page = 0; page < 5; page++) {
        pagesMade++
        yield { partition: 1, records: [{ key: bytes(`key-${page}`), value: bytes("v") }] }
      }
    } finally {
      scansEnded++
    }
  },
}

let channel: MessageChannel | undefined

function connected(): Peer {
  asked = []
  pagesMade = 0
  scansEnded = 0
  channel = new MessageChannel()
  const peer = new Peer(1)
  peer.connect(channel.port1)
  servePeer(channel.port2, handlers)
  return peer
}

afterEach(() => {
  channel?.port1.close()
})

/** Resolves when what was sent before has arrived. */
async function settled(peer: Peer): Promise<void> {
  await peer.call("delete", { store: "", key: bytes("k") })
}

test("peer: a call is answered by the other shard, its errors keep reason and metadata", async () => {
  const peer = connected()
  deepStrictEqual(await peer.call("get", { store: "", key: bytes("a") }), {
    found: true,
    value: bytes("of a"),
  })
  await rejects(peer.call("get", { store: "", key: bytes("damaged") }), (error) =>
    isEngineError(error, "DATA_LOSS"),
  )
  await rejects(
    peer.call("write", { store: "", records: [], expected: [] }),
    (error) => isVarveError(error, "WRONG_PARTITION") && error.metadata["partition"] === "3",
  )
})

test("peer: a call whose deadline has passed is not begun", async () => {
  const peer = connected()
  await rejects(peer.call("get", { store: "", key: bytes("late") }, Date.now() - 1000), (error) =>
    isVarveError(error, "DEADLINE_PASSED"),
  )
  deepStrictEqual(asked, [])
})

test("peer: pages of a scan are made when they are asked for, and a scan that is left ends there", async () => {
  const peer = connected()
  const keys: string[] = []
  for await (const [record] of peer.scan(scanRequest)) keys.push(String(record!.key))
  deepStrictEqual(keys, ["key-0", "key-1", "key-2", "key-3", "key-4"])
  pagesMade = 0
  for await (const _ of peer.scan(scanRequest)) {
    await settled(peer)
    strictEqual(pagesMade, 1)
    break
  }
  await settled(peer)
  strictEqual(scansEnded, 2)
})

test("peer: when the other shard dies, what waits fails as of unknown fate, and calls after it are not made", async () => {
  const peer = connected()
  const waiting = peer.call("set", { store: "", key: bytes("a"), value: bytes("v") })
  await settled(peer)
  deepStrictEqual(asked, ["a"])
  channel!.port2.close()
  await rejects(waiting, (error) => isVarveError(error, "CONNECTION_LOST"))
  throws(
    () => peer.call("get", { store: "", key: bytes("b") }),
    (error) => isEngineError(error, "ENGINE_CLOSED"),
  )
  const again = new MessageChannel()
  peer.connect(again.port1)
  servePeer(again.port2, handlers)
  deepStrictEqual((await peer.call("get", { store: "", key: bytes("b") })).value, bytes("of b"))
  again.port1.close()
})

test("peer: a scan whose shard dies between two pages fails, also when the shard is back by then", async () => {
  const peer = connected()
  const scan = peer.scan(scanRequest)
  strictEqual((await scan.next()).done, false)
  channel!.port2.close()
  const again = new MessageChannel()
  peer.connect(again.port1)
  servePeer(again.port2, handlers)
  // Nothing before it is answered later than this call.
  const outcome = scan.next().then(
    () => "a page",
    (error: unknown) => error,
  )
  const first = await Promise.race([outcome, settled(peer).then(() => "nothing")])
  strictEqual(isVarveError(first, "CONNECTION_LOST"), true, String(first))
  again.port1.close()
})

test("errors between threads: class, reason, causes and the system's code arrive", () => {
  const system = Object.assign(new Error("listen EACCES"), { code: "EACCES", syscall: "listen" })
  const error = new EngineError("STORAGE_FAILED", "no room", { cause: system })
  const arrived = decodeError(structuredClone(encodeError(error)))
  strictEqual(isEngineError(arrived, "STORAGE_FAILED"), true)
  deepStrictEqual([arrived.message, arrived.stack], [error.message, error.stack])
  const cause = arrived.cause as NodeJS.ErrnoException
  deepStrictEqual([cause.message, cause.code, cause.syscall], ["listen EACCES", "EACCES", "listen"])
  // A chain without end does not go on for ever.
  const loop = new Error("loop")
  loop.cause = loop
  strictEqual(decodeError(encodeError(loop)).message, "loop")
})
