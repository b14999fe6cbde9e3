// An engine beside a plain map, thousands of random steps: writes, batches, conditions, deletes, reads, scans, versions,
// restores, clean stops and power loss. After each step that could tell, both hold the same.

import { type Engine, engineNames } from "@varve/engines"
import { expect, test } from "vitest"
import { SimulatedRandom, seedsUpTo, simulatedSeams } from "../simulation/index.ts"
import { afterPowerLoss, bytes, contents, countingEngines, openDurable, openTiny } from "./engine-fixture.ts"

type State = Map<string, string>

const STEPS = 1500
const KEYS = 400
const SEEDS = seedsUpTo(2)

/** The model: the present state, and every version by its full name. */
class Model {
  present: State = new Map()
  readonly versions = new Map<string, { state: State; metadata: string }>()
  /** Handles of states that restores have replaced, newest last. */
  readonly replaced: { handle: string; state: State; version: number }[] = []
}

class Walk {
  readonly #random: SimulatedRandom
  readonly #model = new Model()
  #seams: ReturnType<typeof simulatedSeams>
  #engine: Engine
  #version = 0
  readonly #open: typeof openDurable

  constructor(
    seed: number,
    seams: ReturnType<typeof simulatedSeams>,
    engine: Engine,
    open: typeof openDurable = openTiny,
  ) {
    this.#open = open
    this.#random = new SimulatedRandom(seed)
    this.#seams = seams
    this.#engine = engine
  }

  async step(): Promise<void> {
    const dice = this.#random.integer(1000)
    if (dice < 500) await this.#write()
    else if (dice < 560) await this.#writeBatch()
    else if (dice < 600) await this.#swap()
    else if (dice < 900) await this.#read()
    else if (dice < 925) await this.#compareAll()
    else if (dice < 965) await this.#snapshot()
    else if (dice < 980) await this.#restore()
    else if (dice < 985) await this.#undo()
    else if (dice < 993) await this.#stop()
    else await this.#losePower()
  }

  async finish(): Promise<void> {
    await this.#compareAll()
    await this.#engine.close()
    expect(this.#seams.fileSystem.openPaths).toEqual([])
  }

  #key(): string {
    // A few keys are hot, as everywhere.
    const index = this.#random.oneIn(2) ? this.#random.integer(20) : this.#random.integer(KEYS)
    return `key:${index}`
  }

  #value(): string {
    if (this.#random.oneIn(6)) return ""
    return String.fromCharCode(97 + this.#random.integer(26)).repeat(1 + this.#random.integer(300))
  }

  #apply(key: string, value: string): void {
    if (value === "") this.#model.present.delete(key)
    else this.#model.present.set(key, value)
  }

  async #write(): Promise<void> {
    const [key, value] = [this.#key(), this.#value()]
    this.#apply(key, value)
    await this.#engine.set(bytes(key), bytes(value))
  }

  async #writeBatch(): Promise<void> {
    const records = Array.from(
      { length: 1 + this.#random.integer(20) },
      () => [this.#key(), this.#value()] as const,
    )
    for (const [key, value] of records) this.#apply(key, value)
    await this.#engine.write(records.map(([key, value]) => ({ key: bytes(key), value: bytes(value) })))
  }

  /** A write under conditions that hold two times out of three, on keys in memory and on disk. */
  async #swap(): Promise<void> {
    const keys = Array.from({ length: 1 + this.#random.integer(4) }, () => this.#key())
    const expected = keys.map((key) => ({
      key: bytes(key),
      value: bytes(this.#model.present.get(key) ?? ""),
    }))
    const isWrong = this.#random.oneIn(3)
    if (isWrong) expected[this.#random.integer(keys.length)]!.value = bytes("what no key holds")
    const [key, value] = [this.#key(), this.#value()]
    const attempt = async (): Promise<void> =>
      this.#engine.write([{ key: bytes(key), value: bytes(value) }], { expected })
    if (isWrong) {
      await expect(attempt()).rejects.toMatchObject({ reason: "CONDITION_FAILED" })
      return
    }
    await attempt()
    this.#apply(key, value)
  }

  async #read(): Promise<void> {
    const keys = Array.from({ length: 1 + this.#random.integer(8) }, () => this.#key())
    const expected = keys.map((key) => this.#model.present.get(key))
    const pending = this.#engine.getMany(keys.map(bytes))
    // A later write must not show in an earlier read.
    const [key, value] = [keys[0]!, this.#value()]
    this.#apply(key, value)
    const written = this.#engine.set(bytes(key), bytes(value))
    const values = await pending
    expect(values.map((each) => (each === undefined ? undefined : Buffer.from(each).toString()))).toEqual(
      expected,
    )
    await written
  }

  async #compareAll(): Promise<void> {
    expect(await contents(this.#engine)).toEqual(this.#model.present)
    if (countingEngines.includes(this.#engine.name)) {
      expect(this.#engine.statistics().recordCount).toBe(this.#model.present.size)
    }
  }

  async #snapshot(): Promise<void> {
    const version = ++this.#version
    const state = new Map(this.#model.present)
    const metadata = `offset ${this.#random.next()}`
    const pending = this.#engine.snapshot({ version, metadata: bytes(metadata) })
    for (let i = this.#random.integer(5); i > 0; i--) await this.#write()
    const { timeline } = await pending
    this.#model.versions.set(`${timeline}/${version}`, { state, metadata })
  }

  async #restore(): Promise<void> {
    const names = [...this.#model.versions.keys()]
    if (names.length === 0) return
    const name = this.#random.pick(names)
    const [timeline, version] = name.split("/") as [string, string]
    const before = new Map(this.#model.present)
    const versionBefore = this.#version
    const result = await this.#engine.restore({ version: Number(version), timeline })
    const { state, metadata } = this.#model.versions.get(name)!
    expect(Buffer.from(result.metadata).toString()).toBe(metadata)
    this.#model.replaced.push({ handle: result.replaced, state: before, version: versionBefore })
    this.#model.present = new Map(state)
    this.#version = Number(version)
    await this.#compareAll()
  }

  async #undo(): Promise<void> {
    const last = this.#model.replaced.pop()
    if (last === undefined) return
    this.#model.replaced.length = 0
    await this.#engine.restore({ replaced: last.handle })
    this.#model.present = new Map(last.state)
    this.#version = this.#engine.position.version
    await this.#compareAll()
  }

  async #stop(): Promise<void> {
    await this.#engine.close()
    this.#seams = afterPowerLoss(this.#seams, this.#random.next())
    this.#engine = await this.#open(this.#engine.name, this.#seams)
    expect(this.#engine.recovery).toBe("continued")
    await this.#compareAll()
  }

  async #losePower(): Promise<void> {
    this.#seams = afterPowerLoss(this.#seams, this.#random.next())
    this.#engine = await this.#open(this.#engine.name, this.#seams)
    if (this.#open === openDurable) {
      // Every write was acknowledged: the crash has taken nothing.
      await this.#compareAll()
      return
    }
    const { version, timeline } = this.#engine.position
    const found = this.#model.versions.get(`${timeline}/${version}`)
    this.#model.present = new Map(found?.state)
    this.#version = version
    this.#model.replaced.length = 0
    // It is the newest of all that were committed: nothing that was promised is gone.
    expect(found !== undefined || this.#model.versions.size === 0).toBe(true)
    await this.#compareAll()
  }
}

test.each(engineNames.flatMap((name) => SEEDS.map((seed) => [name, seed] as const)))(
  "%s, seed %i: %# behaves as a map does",
  async (name, seed) => {
    const seams = simulatedSeams(seed)
    const walk = new Walk(seed, seams, await openTiny(name, seams))
    for (let step = 0; step < STEPS; step++) {
      try {
        await walk.step()
      } catch (error) {
        throw new Error(`${name}, seed ${seed}, step ${step}: ${(error as Error).message}`, { cause: error })
      }
    }
    await walk.finish()
  },
)

test.each(engineNames)(
  "%s: under durability log it loses nothing with power",
  { timeout: 60_000 },
  async (name) => {
    const seed = 11
    const seams = simulatedSeams(seed)
    const walk = new Walk(seed, seams, await openDurable(name, seams), openDurable)
    for (let step = 0; step < STEPS / 2; step++) {
      try {
        await walk.step()
      } catch (error) {
        throw new Error(`${name}, seed ${seed}, step ${step}: ${(error as Error).message}`, { cause: error })
      }
    }
    await walk.finish()
  },
)
