// Random lives under durability `log`: batches with and without conditions, versions, restores, clean stops, kills and
// power losses, disks that fail once or are full for a while. After each life the partition holds every acknowledged
// batch, and of the later ones a first part; a restore that failed has changed nothing.

import { type Engine, type EngineName, engineNames, isEngineError } from "@varve/engines"
import { expect, test } from "vitest"
import { afterKill, afterPowerLoss, bytes, contents, openDurable } from "../engines/engine-fixture.ts"
import { type CallKind, SimulatedRandom, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"

type State = ReadonlyMap<string, string>

const SEEDS_PER_ENGINE = 4
const LIVES = 4
const KEYS = 40
const FREE_BYTES_MAX = 30_000
const STEPS_BEFORE_CRASH_MAX = 400
const faults: readonly CallKind[] = [
  ...(["write", "sync", "rename", "syncDirectory", "open", "close"] as const),
  ...(["remove", "read", "link", "list", "size", "status"] as const),
]

/** What callers know of the partition. */
class Known {
  /** The present state may be any of these from `acknowledged` on; each came from the one before. */
  states: State[] = [new Map()]
  acknowledged = 0
  /** Committed ones, by timeline and number. */
  readonly versions = new Map<string, State>()
  versionCount = 0

  get newest(): State {
    return this.states.at(-1)!
  }

  /** Adds a state. @returns what to call when it is acknowledged */
  add(state: State): () => void {
    const { states } = this
    const index = states.push(state) - 1
    return () => {
      // A later life may have begun.
      if (states === this.states) this.acknowledged = Math.max(this.acknowledged, index)
    }
  }

  /** What has come up is all there is. */
  cameUp(state: State): void {
    this.states = [state]
    this.acknowledged = 0
  }
}

function written(state: State): string {
  return JSON.stringify([...state].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** From an engine's opening to its end. Acts end it by answering true: what the state is has become uncertain. */
class Life {
  readonly #engine: Engine
  readonly #seams: SimulatedSeams
  readonly #random: SimulatedRandom
  readonly #known: Known
  readonly #name: string
  readonly #pending: Promise<unknown>[] = []
  #step = 0

  constructor(engine: Engine, seams: SimulatedSeams, random: SimulatedRandom, known: Known, name: string) {
    this.#engine = engine
    this.#seams = seams
    this.#random = random
    this.#known = known
    this.#name = name
  }

  async run(): Promise<void> {
    const { fileSystem } = this.#seams
    const random = this.#random
    const stepCount = 20 + random.integer(40)
    if (random.integer(4) === 0) {
      fileSystem.crashAt(fileSystem.steps + 1 + random.integer(STEPS_BEFORE_CRASH_MAX))
    }
    for (; this.#step < stepCount && !fileSystem.isCrashed; this.#step++) {
      try {
        if (await this.#act(random.integer(20))) break
      } catch (error) {
        this.#expectFault(error)
      }
    }
    fileSystem.setFreeBytes(Number.POSITIVE_INFINITY)
    const ending = random.integer(3)
    if (ending === 0) return
    const closed = this.#engine.close().catch((error: unknown) => this.#expectFault(error))
    if (ending === 1) await closed
    else this.#pending.push(closed)
  }

  /** Resolves when everything that was asked for has been answered; its disk is stopped. */
  async over(): Promise<void> {
    await Promise.all(this.#pending)
  }

  async #act(chance: number): Promise<boolean> {
    const { fileSystem } = this.#seams
    const random = this.#random
    if (chance < 12) return this.#write()
    if (chance < 14) return this.#snapshot()
    if (chance < 16) return this.#restore()
    if (chance === 16) fileSystem.failNth(faults[random.integer(faults.length)]!, 1 + random.integer(6))
    else if (chance === 17) {
      fileSystem.setFreeBytes(random.oneIn(4) ? random.integer(FREE_BYTES_MAX) : Number.POSITIVE_INFINITY)
    } else if (chance === 18) await this.#settle()
    else await new Promise((resolve) => setImmediate(resolve))
    return false
  }

  async #settle(): Promise<void> {
    this.#seams.fileSystem.setFreeBytes(Number.POSITIVE_INFINITY)
    await Promise.all(this.#pending.splice(0))
  }

  async #write(): Promise<boolean> {
    const random = this.#random
    const known = this.#known
    const next = new Map(known.newest)
    const records = Array.from({ length: 1 + random.integer(4) }, () => {
      const key = `k${random.integer(KEYS)}`
      const value = random.oneIn(5) ? "" : `${this.#name}.${this.#step} `.repeat(1 + random.integer(60))
      if (value === "") next.delete(key)
      else next.set(key, value)
      return { key: bytes(key), value: bytes(value) }
    })
    const condition = `k${random.integer(KEYS)}`
    const expected = random.oneIn(3)
      ? [{ key: bytes(condition), value: bytes(known.newest.get(condition) ?? "") }]
      : []
    let pending: Promise<void> | undefined
    try {
      pending = this.#engine.write(records, { expected })
    } catch (error) {
      if (isEngineError(error, "CONDITION_FAILED")) throw new Error("a condition that holds failed")
      throw error
    }
    if (expected.length === 0 || pending === undefined) {
      const acknowledge = known.add(next)
      this.#pending.push(Promise.resolve(pending).then(acknowledge, () => undefined))
      return false
    }
    // It may be decided later: nothing else is asked for until then.
    this.#seams.fileSystem.setFreeBytes(Number.POSITIVE_INFINITY)
    try {
      await pending
      known.add(next)()
      return false
    } catch (error) {
      if (isEngineError(error, "CONDITION_FAILED")) throw new Error("a condition that holds failed")
      known.add(next)
      return true
    }
  }

  async #snapshot(): Promise<boolean> {
    const { versions, newest } = this.#known
    const version = ++this.#known.versionCount
    const committed = this.#engine.snapshot({ version }).then(
      ({ timeline }) => versions.set(`${timeline} ${version}`, newest),
      () => undefined,
    )
    this.#pending.push(committed)
    if (this.#random.oneIn(2)) {
      this.#seams.fileSystem.setFreeBytes(Number.POSITIVE_INFINITY)
      await committed
    }
    return false
  }

  async #restore(): Promise<boolean> {
    const known = this.#known
    const listed = await this.#engine.listVersions()
    const choices = listed.flatMap(({ timeline, version }) => {
      const state = known.versions.get(`${timeline} ${version}`)
      return state === undefined ? [] : [{ timeline, version, state }]
    })
    if (choices.length === 0) return false
    const { timeline, version, state } = choices[this.#random.integer(choices.length)]!
    await this.#settle()
    const before = known.newest
    try {
      await this.#engine.restore({ version, timeline })
      known.add(state)()
      return false
    } catch (error) {
      // A crash may have come right behind it, and so may a failed attempt to take it back, which refuses all writes.
      known.add(state)
      if (this.#seams.fileSystem.isCrashed) return true
      if (!isEngineError(error)) throw error
    }
    expect(written(await contents(this.#engine)), "a restore that failed has changed nothing").toBe(
      written(before),
    )
    return this.#refusesWrites()
  }

  /** Calls fail as engines do, or because the disk has crashed under them. */
  #expectFault(error: unknown): void {
    if (!this.#seams.fileSystem.isCrashed && !isEngineError(error)) throw error
  }

  #refusesWrites(): boolean {
    try {
      const pending = this.#engine.set(bytes("probe"), bytes(""))
      this.#pending.push(Promise.resolve(pending).catch((error: unknown) => this.#expectFault(error)))
    } catch (error) {
      if (isEngineError(error, "ENGINE_POISONED")) return true
      throw error
    }
    // The state of the version that was asked for is nowhere.
    this.#known.states.pop()
    return false
  }
}

async function live(name: EngineName, seed: number): Promise<void> {
  const random = new SimulatedRandom(seed)
  const known = new Known()
  let seams = simulatedSeams(seed)
  for (let number = 0; number < LIVES; number++) {
    const engine = await openDurable(name, seams)
    const found = await contents(engine)
    const possible = known.states.slice(known.acknowledged).map(written)
    expect(possible, `life ${number}, ${engine.recovery}`).toContain(written(found))
    known.cameUp(found)
    const life = new Life(engine, seams, random, known, `${seed}.${number}`)
    await life.run()
    seams.fileSystem.forgetFaults()
    const stopped = seams
    const isKill = random.oneIn(2)
    seams = (isKill ? afterKill : afterPowerLoss)(stopped, seed * LIVES + number)
    await life.over()
  }
}

test.each(engineNames)("%s: random lives keep what was acknowledged", { timeout: 60_000 }, async (name) => {
  for (let seed = 1; seed <= SEEDS_PER_ENGINE; seed++) {
    await live(name, seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    })
  }
})
