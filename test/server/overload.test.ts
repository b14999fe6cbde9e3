// More calls than the daemon can do: some are refused, with a reason, and at once; what administers it is not.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { status } from "@grpc/grpc-js"
import { GetRequest, type VarveError } from "@varve/proto"
import { afterAll, beforeAll, test } from "vitest"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { UnaryConnection } from "./load-connection.ts"
import { bytes, RawClient, reads } from "./raw-client.ts"
import { frameOf } from "./raw-http2.ts"
import { until } from "./until.ts"

/** Together some thousand calls at any time: a turn of them is late on any machine. */
const CONNECTIONS = 16
const CALLS_EACH = 250
const CALL_MS = 60_000

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

  /** Connections that the daemon has not ended. */
  get connectionCount(): number {
    return this.#connections.filter(({ isOver }) => !isOver).length
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
    await until("a call refused", () => flood.codes.has(status.RESOURCE_EXHAUSTED))
    // A client that comes now with more than its share is refused, too, and is told why.
    const reasons = await until("a call of somebody else refused", async () => {
      const all = await getAtOnce(CALLS_EACH)
      return all.has("OVERLOADED") && all
    })
    deepStrictEqual(
      [...reasons].filter((each) => each !== "value" && each !== "OVERLOADED"),
      [],
    )
    strictEqual((await client.describe()).stores.length, 1)
    const [answer] = await client.pipeline([{ work: reads("key") }])
    strictEqual(answer?.result?.$case, "values")
    // HTTP/2 refuses most of them, before they have a method. It ends no connection for it: Node does after 100, by default.
    await until("calls refused by HTTP/2", async () => {
      const metrics = await metricsOf(daemon)
      const byHand = sumOf(metrics, /^grpc_server_handled_total\{.*"ResourceExhausted".*\} (\d+)$/gm)
      const all = sumOf(metrics, /^varve_overload_refusals_total (\d+)$/gm)
      return byHand > 0 && all > byHand + 101 * CONNECTIONS
    })
    strictEqual(flood.connectionCount, CONNECTIONS)
  } finally {
    flood.stop()
  }
  onlyAnswersAndRefusals(flood.codes)
  ok(sumOf(await metricsOf(daemon), /^varve_errors_total\{.*"OVERLOADED".*\} (\d+)$/gm) > 0)
  // The places of the client's connection are all free again.
  await until("the end of the overload", async () => {
    return sumOf(await metricsOf(daemon), /^varve_overloaded_shards (\d+)$/gm) === 0
  })
  deepStrictEqual([...(await getAtOnce(CALLS_EACH))], ["value"])
})

test("a stop in the midst of it is a clean one", async () => {
  const flood = new Flood()
  try {
    await until("a call refused", () => flood.codes.has(status.RESOURCE_EXHAUSTED))
    strictEqual(await daemon.kill("SIGTERM"), 0)
  } finally {
    flood.stop()
  }
})

/** Reads the key so many times at once on the client's one connection. @returns what came of it: its value, or a reason */
async function getAtOnce(count: number): Promise<ReadonlySet<string>> {
  const outcomes = Array.from({ length: count }, () =>
    client.get(bytes("key")).then(String, (error: unknown) => (error as VarveError).reason),
  )
  return new Set(await Promise.all(outcomes))
}

async function metricsOf({ http }: TestDaemon): Promise<string> {
  return await (await fetch(`${http}/metrics`)).text()
}

function sumOf(metrics: string, sample: RegExp): number {
  return [...metrics.matchAll(sample)].reduce((sum, [, value]) => sum + Number(value), 0)
}

/** Nothing but answers and refusals. */
function onlyAnswersAndRefusals(codes: ReadonlyMap<number, number>): void {
  for (const code of codes.keys()) ok(code === status.OK || code === status.RESOURCE_EXHAUSTED, String(code))
}
