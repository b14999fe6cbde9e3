// A client and a daemon with a proxy between them that cuts, copies, holds back and delays frames, while the daemon is
// killed and started again: every call succeeds, and at the end every key has the value that its caller wrote last.
// What is applied twice shows: a counter that is raised under a condition would miss it, and a copy of an older write that
// came late would bring an older value back.
//
// More of it: `VARVE_OPERATIONS=1000000 npx vitest run test/server/exactly-once.test.ts`. It prints what was done to it.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { connect, type State } from "@varve/client"
import { onTestFinished, test } from "vitest"
import { seededRandom } from "../bench/random.ts"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { FrameProxy } from "./frame-proxy.ts"

const OPERATIONS = Number(process.env["VARVE_OPERATIONS"] ?? 100_000)
const SEED = Number(process.env["VARVE_SEED"] ?? 1)
const CALLERS = 384
const KEYS = 3

/** One caller, who alone writes its keys and waits for each answer. */
class Caller {
  readonly #state: State
  readonly #name: number
  readonly #random: (bound: number) => number
  /** What each key must hold. */
  readonly model = new Map<string, string>()
  #counter = 0

  constructor(state: State, name: number) {
    this.#state = state
    this.#name = name
    this.#random = seededRandom(SEED * 100_003 + name)
  }

  async work(operations: number): Promise<void> {
    for (let n = 0; n < operations; n++) {
      const key = `${this.#name}:${this.#random(KEYS)}`
      const kind = this.#random(20)
      if (kind < 11) await this.#set(key, `${n}`)
      else if (kind < 15) strictEqual((await this.#state.get(key))?.toString(), this.model.get(key), key)
      else if (kind < 17) await this.#set(key, "")
      else if (kind < 19) await this.#write(n)
      else await this.#count()
    }
  }

  async check(): Promise<void> {
    const keys = [...this.model.keys()]
    const values = await this.#state.getMany(keys)
    deepStrictEqual(
      values.map((value) => value?.toString()),
      keys.map((key) => this.model.get(key)),
    )
    strictEqual((await this.#state.get(`${this.#name}:count`))?.toString() ?? "0", `${this.#counter}`)
  }

  async #set(key: string, value: string): Promise<void> {
    await this.#state.set(key, value)
    this.#note(key, value)
  }

  async #write(n: number): Promise<void> {
    const records = Array.from({ length: KEYS }, (_, i) => ({ key: `${this.#name}:${i}`, value: `all ${n}` }))
    await this.#state.write(records)
    for (const { key, value } of records) this.#note(key, value)
  }

  /** Applied twice, or not at all, it misses its condition now or the next time. */
  async #count(): Promise<void> {
    const ifValue = this.#counter === 0 ? "" : `${this.#counter}`
    await this.#state.set(`${this.#name}:count`, `${this.#counter + 1}`, { ifValue })
    this.#counter++
  }

  #note(key: string, value: string): void {
    if (value === "") this.model.delete(key)
    else this.model.set(key, value)
  }
}

test("every write is applied once, whatever becomes of connections and daemons", {
  timeout: 120_000,
}, async () => {
  const flags = ["--durability", "log", "--engine", "hybrid-log", "--partitions", "4", "--shards", "2"]
  let daemon: TestDaemon = await startDaemon({ flags })
  onTestFinished(() => daemon.stop())
  const proxy = new FrameProxy(daemon.grpc, SEED)
  await proxy.start()
  onTestFinished(() => proxy.close())
  const state = connect(proxy.address, { deadlineMs: 60_000, backoffFirstMs: 1, backoffMaxMs: 20 })
  onTestFinished(() => state.close())
  const callers = Array.from({ length: CALLERS }, (_, name) => new Caller(state, name))

  let kills = 0
  const working = { done: false }
  const work = Promise.all(callers.map((caller) => caller.work(Math.ceil(OPERATIONS / CALLERS)))).finally(
    () => {
      working.done = true
    },
  )
  // A rejection is met below, when the daemon is whole again.
  work.catch(() => undefined)
  for (const frames of [300, 1200]) {
    while (!working.done && proxy.counts.frames < frames)
      await new Promise((resolve) => setTimeout(resolve, 5))
    await daemon.kill("SIGKILL")
    kills++
    daemon = await daemon.restart()
    proxy.daemon = daemon.grpc
  }
  await work
  proxy.isBad = false
  await Promise.all(callers.map((caller) => caller.check()))
  const { counts } = proxy
  const text = Object.entries({ operations: OPERATIONS, kills, ...counts }).map(
    ([name, count]) => `${count} ${name}`,
  )
  process.stdout.write(`seed ${SEED}: ${text.join(", ")}; 0 lost, 0 applied twice\n`)
  for (const count of Object.values(counts)) ok(count > 0)
})
