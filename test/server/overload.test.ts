// More calls than the daemon can do: some are refused, with a reason, and at once; what administers it is not.

import { ok, strictEqual } from "node:assert"
import { status } from "@grpc/grpc-js"
import { GetRequest, type VarveError } from "@varve/proto"
import { afterAll, beforeAll, expect, test } from "vitest"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { UnaryConnection } from "./load-connection.ts"
import { bytes, RawClient, reads } from "./raw-client.ts"
import { frameOf } from "./raw-http2.ts"

/** Together some thousand calls at any time: a turn of them is late on any machine. */
const CONNECTIONS = 16
const CALLS_EACH = 250
const CALL_MS = 60_000
/** For a condition that comes true on a slow machine too. */
const PATIENCE = { timeout: 30_000, interval: 20 }

let daemon: TestDaemon
let client: RawClient

beforeAll(async () => {
  daemon = await startDaemon({ flags: ["--partitions", "1"] })
  client = new RawClient(daemon.grpc)
  await client.set(bytes("key"), bytes("value"))
})
afterAll(async () => {
  client.close()
  await daemon.stop()
})

/** Calls that are replaced as they end, until `stop`. */
class Flood {
  readonly codes = new Map<number, number>()
  readonly #connections: UnaryConnection[]
  #count = 0
  #isOver = false

  constructor() {
    const request = GetRequest.encode({ store: "", key: bytes("key"), partition: undefined }).finish()
    this.#connections = Array.from({ length: CONNECTIONS }, (_, index) => {
      const told = (_request: number, code: number): void => {
        this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
        if (!this.#isOver) this.#begin(index)
      }
      return new UnaryConnection(daemon.grpc, "Get", frameOf(Buffer.from(request), 0), told)
    })
    for (let each = 0; each < CONNECTIONS * CALLS_EACH; each++) this.#begin(each % CONNECTIONS)
    this.#flush()
  }

  stop(): void {
    this.#isOver = true
    for (const connection of this.#connections) connection.close()
  }

  #begin(index: number): void {
    this.#connections[index]!.begin(this.#count++, CALL_MS)
  }

  #flush(): void {
    for (const connection of this.#connections) connection.flush()
    if (!this.#isOver) setImmediate(() => this.#flush())
  }
}

test("calls that come faster than they are done are refused; pipelines and what administers are not", async () => {
  const flood = new Flood()
  try {
    await expect.poll(() => flood.codes.get(status.RESOURCE_EXHAUSTED) ?? 0, PATIENCE).toBeGreaterThan(0)
    // A client that comes now may be refused, too, and is told why.
    const refused = async (): Promise<unknown> => {
      const all = await Promise.allSettled(Array.from({ length: 50 }, () => client.get(bytes("key"))))
      return all.find((each) => each.status === "rejected")?.reason
    }
    await expect.poll(refused, PATIENCE).toMatchObject({ reason: "OVERLOADED" })
    strictEqual((await client.describe()).stores.length, 1)
    const [answer] = await client.pipeline([{ work: reads("key") }])
    strictEqual(answer?.result?.$case, "values")
  } finally {
    flood.stop()
  }
  onlyAnswersAndRefusals(flood.codes)
  await expect
    .poll(
      () => client.get(bytes("key")).then(String, (error: unknown) => (error as VarveError).reason),
      PATIENCE,
    )
    .toBe("value")
  const metrics = await (await fetch(`${daemon.http}/metrics`)).text()
  for (const name of [
    /^varve_errors_total\{.*"OVERLOADED".*\} (\d+)$/m,
    /^grpc_server_handled_total\{.*"Get".*"ResourceExhausted".*\} (\d+)$/m,
  ]) {
    ok(Number(name.exec(metrics)?.[1]) > 0, String(name))
  }
})

/** Nothing but answers and refusals. */
function onlyAnswersAndRefusals(codes: ReadonlyMap<number, number>): void {
  for (const code of codes.keys()) ok(code === status.OK || code === status.RESOURCE_EXHAUSTED, String(code))
}
