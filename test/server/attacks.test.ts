// One daemon, attacked in every way that is known, one after the other: it stays the same process, answers others, and
// never holds much more memory than before. What each attack costs is measured by `npm run bench -- attacks`.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { readFileSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { constants } from "node:http2"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { status } from "@grpc/grpc-js"
import { encodeRecords, GetRequest, type VarveError } from "@varve/proto"
import { afterAll, beforeAll, expect, test } from "vitest"
import { Battlefield, callStatus, neverEndedStatus, openCall } from "./attacks/attack.ts"
import { attacks, pipelineFrame, repeated } from "./attacks/attacks.ts"
import { frameTypes } from "./attacks/hand-made-connection.ts"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, failsWith, RawClient, reads } from "./raw-client.ts"
import { frameOf } from "./raw-http2.ts"

const MIB = 1024 * 1024
const force = {
  connections: 4,
  streams: 64,
  requestBytes: 8 * MIB - 1024,
  valueBytes: MIB,
  floodBytes: 2 * MIB,
  patienceMs: 100,
}
/** For a condition that comes true on a slow machine too. */
const PATIENCE = { timeout: 20_000, interval: 20 }
/** Without any bound a single one of the attacks takes several times as much. */
const GROWTH_BYTES_MAX = 320 * MIB
const config = `
limits:
  inflightBytesMax: ${16 * MIB}
  handshakeSeconds: 1
`

let directory: string
let daemon: TestDaemon
let client: RawClient

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-attacks-"))
  const path = join(directory, "varve.yaml")
  await writeFile(path, config)
  daemon = await startDaemon({ flags: ["--config", path, "--partitions", "1"] })
  client = new RawClient(daemon.grpc)
})
afterAll(async () => {
  client.close()
  await daemon.stop()
  await rm(directory, { recursive: true, force: true })
})

const field = (): Battlefield =>
  new Battlefield({ grpc: daemon.grpc, http: daemon.http.slice("http://".length) }, force)

/** The most memory that the daemon ever had. Linux only, as the rest of what looks at processes. */
function peakBytes(): number {
  const text = readFileSync(`/proc/${daemon.pid}/status`, "utf8")
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)![1]) * 1024
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${daemon.http}/metrics`)).text()
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(text)?.[1])
}

/** What others get while an attack is under way: an answer, or to be told to come back. */
async function refusedAtMost(call: Promise<unknown>): Promise<void> {
  const [result] = await Promise.allSettled([call])
  if (result.status === "rejected") strictEqual((result.reason as VarveError).reason, "OVERLOADED")
}

/** Others are served; where attackers have just gone, as soon as the daemon has noticed. */
async function answers(): Promise<void> {
  await expect
    .poll(() => client.set(bytes("alive"), bytes("yes")).then(() => true, String), PATIENCE)
    .toBe(true)
  deepStrictEqual(await client.get(bytes("alive")), bytes("yes"))
  strictEqual((await fetch(`${daemon.http}/healthz`)).status, 200)
}

test("the daemon survives every attack, answers others, and stays small", async () => {
  await answers()
  const before = peakBytes()
  for (const attack of attacks) {
    const battle = field()
    try {
      await attack.run(battle)
      await refusedAtMost(client.get(bytes("alive")))
    } catch (error) {
      throw new Error(`during: ${attack.name}`, { cause: error })
    } finally {
      await battle.leave()
    }
    await answers()
    const growth = peakBytes() - before
    ok(growth < GROWTH_BYTES_MAX, `${attack.name}: ${Math.round(growth / MIB)} MiB more than before`)
  }
  strictEqual(daemon.log.filter(({ event }) => event === "shard-died").length, 0)
})

test("a request of too many entries is refused before it is decoded", async () => {
  const one = { key: bytes("k"), value: bytes("v") }
  await failsWith("REQUEST_INVALID", client.write(new Array(65_600).fill(one)))
  strictEqual(await client.write(new Array(65_536).fill(one)), 65_536)
  const battle = field()
  const metadata = Buffer.concat([Buffer.of(0x22, 0x80, 0x80, 0xc0, 2), Buffer.alloc(5 * MIB)])
  strictEqual(
    await callStatus(battle.session(), "Snapshot", frameOf(metadata, 0)),
    String(status.RESOURCE_EXHAUSTED),
  )
  await battle.leave()
})

test("a value that is asked for too often fails its read only, before all of it is there", async () => {
  await client.set(bytes("large"), Buffer.alloc(MIB, 1))
  const often = Array.from({ length: 300 }, () => "large")
  await failsWith("MESSAGE_TOO_LARGE", client.getMany(often.map(bytes)))
  const [answer] = await client.pipeline([{ work: reads(...often) }])
  ok(answer?.result?.$case === "error")
  strictEqual(answer.result.value.reason, "MESSAGE_TOO_LARGE")
  strictEqual((await client.getMany([bytes("large"), bytes("large")]))[1]?.length, MIB)
})

test("a frame of more records than one may have is refused, and none is applied", async () => {
  const records = Array.from({ length: 65_537 }, (_, index) => ({
    key: bytes(`n${index}`),
    value: bytes("v"),
  }))
  const [answer] = await client.pipeline([{ work: { $case: "writes", value: encodeRecords(records) } }])
  ok(answer?.result?.$case === "error")
  strictEqual(answer.result.value.reason, "REQUEST_INVALID")
  strictEqual(await client.get(bytes("n0")), undefined)
})

test("a connection that ends amid the preface is closed; so is a HTTP peer that does not wait", async () => {
  const battle = field()
  const connection = await battle.silent()
  connection.read()
  connection.write(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
  await connection.closed
  const socket = battle.http()
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
  socket.resume()
  socket.write("GET /v1/describe HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100))
  await closed
  await battle.leave()
})

test("metadata above the limit ends its call only", async () => {
  const battle = field()
  const connection = (await battle.byHand()).read()
  const large = connection.call("Pipeline", [["x-large", "v".repeat(9000)]])
  connection.write(large.bytes)
  // The answer, and that nothing more is wanted of the client.
  await expect.poll(() => connection.count(frameTypes.headers), PATIENCE).toBe(1)
  await expect.poll(() => connection.count(frameTypes.reset), PATIENCE).toBe(1)
  ok(!connection.isClosed)
  await battle.leave()
})

test("calls whose clients never end their side are told so, and are over", async () => {
  const battle = field()
  const session = battle.session()
  const get = frameOf(
    Buffer.from(GetRequest.encode({ store: "", key: bytes("alive"), partition: undefined }).finish()),
    0,
  )
  const answered = repeated(pipelineFrame({ work: reads("alive") }), 1)
  const statuses = [
    neverEndedStatus(session, "Get", Buffer.alloc(0)),
    neverEndedStatus(session, "Get", get.subarray(0, 7)),
    neverEndedStatus(session, "Get", get),
    // A frame, and a part of one: the status comes behind an answer.
    neverEndedStatus(session, "Pipeline", Buffer.concat([answered, get.subarray(0, 7)])),
  ]
  deepStrictEqual(await Promise.all(statuses), new Array(4).fill(String(status.DEADLINE_EXCEEDED)))
  ok(!session.destroyed)
  await expect.poll(() => metric("varve_open_calls"), PATIENCE).toBe(0)
  await battle.leave()
})

test("scans that nobody reads are bounded, and other calls go on", async () => {
  const battle = field()
  await client.set(bytes("scanned"), Buffer.alloc(MIB, 1))
  const session = battle.session(0)
  const statuses = Array.from({ length: 20 }, () => {
    const call = openCall(session, "Scan")
    const told = new Promise<unknown>((resolve) =>
      call.on("response", (headers) => resolve(headers["grpc-status"])),
    )
    call.end(frameOf(Buffer.alloc(0), 0))
    return told
  })
  const all = await Promise.all(statuses)
  strictEqual(all.filter((each) => each === String(status.RESOURCE_EXHAUSTED)).length, 12)
  await answers()
  await battle.leave()
})

test("pipelines whose answers nobody reads leave room for others, and are ended", async () => {
  const battle = field()
  await client.set(bytes("large"), Buffer.alloc(MIB, 1))
  const session = battle.session(0)
  const codes = Array.from({ length: 4 }, () => {
    const call = openCall(session, "Pipeline")
    call.write(repeated(pipelineFrame({ work: reads("large") }), 20))
    return new Promise<number | undefined>((resolve) => call.once("close", () => resolve(call.rstCode)))
  })
  await expect.poll(() => metric("varve_inflight_bytes"), PATIENCE).toBeGreaterThan(8 * MIB)
  deepStrictEqual(await client.get(bytes("alive")), bytes("yes"))
  const all = await Promise.all(codes)
  deepStrictEqual(all, new Array(4).fill(constants.NGHTTP2_ENHANCE_YOUR_CALM))
  await expect.poll(() => metric("varve_inflight_bytes"), PATIENCE).toBe(0)
  await battle.leave()
})

test("so are those that have their status behind answers that nobody reads", async () => {
  const battle = field()
  await client.set(bytes("large"), Buffer.alloc(MIB, 1))
  const session = battle.session(0)
  const partOfFrame = Buffer.of(0, 0, 0, 0, 9, 1)
  const codes = Array.from({ length: 6 }, () => {
    const call = openCall(session, "Pipeline")
    call.write(Buffer.concat([pipelineFrame({ work: reads("large") }), partOfFrame]))
    return new Promise<number | undefined>((resolve) => call.once("close", () => resolve(call.rstCode)))
  })
  deepStrictEqual(await Promise.all(codes), new Array(6).fill(constants.NGHTTP2_ENHANCE_YOUR_CALM))
  await expect.poll(() => metric("varve_inflight_bytes"), PATIENCE).toBe(0)
  await battle.leave()
})

test("a stop with calls open in every state ends in time, and cleanly", async () => {
  const battle = field()
  const connection = (await battle.byHand(0)).read()
  for (const method of ["Pipeline", "Get", "Scan", "Snapshot"])
    connection.write(connection.call(method).bytes)
  const session = battle.session(0)
  openCall(session, "Scan").end(frameOf(Buffer.alloc(0), 0))
  openCall(session, "Watch", "grpc.health.v1.Health").end(frameOf(Buffer.alloc(0), 0))
  await client.get(bytes("alive"))
  strictEqual(await daemon.kill("SIGTERM"), 0)
  await battle.leave()
})
