// Engines on the real disk with real threads, everything at once: writers, readers, versions, merges, restores, clean
// stops. Seeded, but threads and the disk take the time that they take: what is compared does not depend on it.

import { join } from "node:path"
import { type Engine, type EngineName, engineNames, openEngine } from "@varve/engines"
import { type SystemSeams, systemSeams } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { temporaryDirectory } from "../io/temporary-directory.ts"
import { SimulatedRandom } from "../simulation/index.ts"
import { contents, tinySettings } from "./engine-fixture.ts"
import { expectNoUnhandledRejections } from "./no-unhandled-rejections.ts"

const SEED = 1
const LIVES = 2
const VERSIONS_A_LIFE = 8
const BATCHES_A_VERSION = 10
const RECORDS_A_BATCH = 40
const KEY_COUNT = 1500

expectNoUnhandledRejections()

const directory = temporaryDirectory()

class Stress {
  readonly #name: EngineName
  readonly #directory: string
  readonly #seams: SystemSeams
  readonly #random = new SimulatedRandom(SEED)
  #present = new Map<string, string>()
  readonly #versions = new Map<number, Map<string, string>>()
  #version = 0
  merges = 0

  constructor(name: EngineName, directory: string, seams: SystemSeams) {
    this.#name = name
    this.#directory = directory
    this.#seams = seams
  }

  async live(): Promise<void> {
    const engine = await openEngine({
      engine: this.#name,
      directory: `${this.#directory}/partition`,
      repository: `file:${this.#directory}/repository`,
      settings: tinySettings[this.#name],
      valueBytesMax: 2048,
      seams: this.#seams,
    })
    expect(engine.recovery).toBe(this.#version === 0 ? "new" : "continued")
    expect(await contents(engine)).toEqual(this.#present)
    const pending: Promise<unknown>[] = []
    for (let i = 0; i < VERSIONS_A_LIFE; i++) {
      for (let batch = 0; batch < BATCHES_A_VERSION; batch++) await this.#writeAndRead(engine)
      pending.push(this.#snapshot(engine))
      if (this.#random.oneIn(4)) await Promise.all(pending.splice(0))
      if (this.#random.oneIn(4)) await this.#restore(engine, pending.splice(0))
    }
    await Promise.all(pending)
    expect(await contents(engine)).toEqual(this.#present)
    this.merges += engine.statistics().mergeCount
    await engine.close()
  }

  /** A batch of writes with reads under way that were asked for before it. */
  async #writeAndRead(engine: Engine): Promise<void> {
    const keys = Array.from({ length: 8 }, () => this.#key())
    const expected = keys.map((key) => this.#present.get(key))
    const found = engine.getMany(keys.map((key) => Buffer.from(key)))
    const records = Array.from({ length: RECORDS_A_BATCH }, () => {
      const value = this.#random.oneIn(6)
        ? ""
        : `${this.#random.next()} `.repeat(1 + this.#random.integer(12))
      return [this.#key(), value] as const
    })
    for (const [key, value] of records) {
      if (value === "") this.#present.delete(key)
      else this.#present.set(key, value)
    }
    const written = engine.write(
      records.map(([key, value]) => ({ key: Buffer.from(key), value: Buffer.from(value) })),
    )
    const values = await found
    expect(values.map((value) => (value === undefined ? undefined : Buffer.from(value).toString()))).toEqual(
      expected,
    )
    await written
  }

  async #snapshot(engine: Engine): Promise<void> {
    const version = ++this.#version
    this.#versions.set(version, new Map(this.#present))
    await engine.snapshot({ version })
  }

  /** Goes back to a version. Numbers go on from the highest ever given. */
  async #restore(engine: Engine, pending: readonly Promise<unknown>[]): Promise<void> {
    await Promise.all(pending)
    const version = this.#random.pick([...this.#versions.keys()])
    await engine.restore({ version })
    this.#present = new Map(this.#versions.get(version))
    expect(await contents(engine)).toEqual(this.#present)
  }

  #key(): string {
    return `key:${this.#random.oneIn(2) ? this.#random.integer(60) : this.#random.integer(KEY_COUNT)}`
  }
}

test.each(engineNames)(`%s: threads and a real disk beside a plain map, seed ${SEED}`, async (name) => {
  const seams = systemSeams({ threads: 2 })
  try {
    const stress = new Stress(name, join(directory, name), seams)
    for (let life = 0; life < LIVES; life++) await stress.live()
    if (name !== "memory") expect(stress.merges).toBeGreaterThan(0)
  } finally {
    await seams.close()
  }
})
