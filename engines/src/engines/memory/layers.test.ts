// Beside plain maps, seed by seed: records of runs are loaded and layers are folded one key at a time, when the dice say
// so, and in between keys are written and states are sealed.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { describe, test } from "vitest"
import { type Layer, Layers } from "./layers.ts"

const KEYS = Array.from({ length: 40 }, (_, i) => `key:${i}`)
const STEPS = 600
const SEEDS = 20

/** xorshift32 (G. Marsaglia, 2003). @returns integers below `n` */
function dice(seed: number): (n: number) => number {
  let state = seed * 2_654_435_761 + 1
  return (n) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % n
  }
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString()

/** What runs hold, oldest first; of a patched state several records of a key, and tombstones. */
function recordsOf(roll: (n: number) => number, isPatched: boolean): [string, string][] {
  const plain = KEYS.filter(() => roll(3) > 0).map((key): [string, string] => [key, `run ${key}`])
  if (!isPatched) return plain
  const patches = Array.from({ length: 20 }, (_, i): [string, string] => [
    KEYS[roll(KEYS.length)]!,
    roll(3) === 0 ? "" : `patch ${i}`,
  ])
  return [...plain, ...patches]
}

function apply(state: Map<string, string>, key: string, value: string): void {
  if (value === "") state.delete(key)
  else state.set(key, value)
}

/** Layers in the hands of an engine, and what they are to hold. */
class Life {
  readonly #layers = new Layers()
  readonly #records: readonly [string, string][]
  readonly #state = new Map<string, string>()
  readonly #written = new Set<string>()
  readonly #seals: { readonly layer: Layer; readonly state: ReadonlyMap<string, string> }[] = []
  #loaded = 0
  /** One for each dump, and one for the end of the load. */
  #foldsDue = 0
  #folding: Generator<void> | undefined

  constructor(records: readonly [string, string][], isPatched: boolean) {
    this.#records = records
    for (const [key, value] of records) apply(this.#state, key, value)
    this.#layers.beginLoad(records.length, isPatched)
  }

  write(key: string, value: string): void {
    this.#layers.set(key, bytes(value))
    apply(this.#state, key, value)
    this.#written.add(key)
  }

  load(): void {
    if (!this.#layers.isLoading) return
    const [key, value] = this.#records[this.#loaded++]!
    this.#layers.load(key, bytes(value))
    if (this.#loaded < this.#records.length) return
    this.#layers.endLoad()
    this.#foldsDue++
  }

  seal(): void {
    this.#seals.push({ layer: this.#layers.seal(), state: new Map(this.#state) })
  }

  /** Of all that was sealed, or, as long as runs are missing, of what has changed above them. */
  dump(): void {
    if (this.#folding !== undefined || this.#seals.length === 0) return
    const { layer, state } = this.#seals.shift()!
    const found = new Map<string, string>()
    if (this.#layers.isLoading) {
      for (const [key, value] of this.#records) apply(found, key, value)
      for (const [key, value] of this.#layers.changes(layer)) apply(found, key, text(value)!)
    } else for (const [key, value] of this.#layers.entries(layer)) found.set(key, text(value)!)
    deepStrictEqual(new Map([...found].sort()), new Map([...state].sort()))
    this.#foldsDue++
  }

  /** One key. */
  fold(): void {
    if (this.#folding === undefined) {
      if (this.#foldsDue === 0) return
      this.#foldsDue--
      this.#folding = this.#layers.fold()
    }
    if (this.#folding.next().done === true) this.#folding = undefined
  }

  checkKey(key: string): void {
    const found = this.#layers.find(key)
    if (found === undefined && this.#layers.isLoading) ok(!this.#written.has(key), `${key} was written`)
    else strictEqual(text(found) ?? "", this.#state.get(key) ?? "", key)
  }

  end(): void {
    while (this.#layers.isLoading) this.load()
    while (this.#seals.length > 0) {
      while (this.#folding !== undefined) this.fold()
      this.dump()
    }
    while (this.#foldsDue > 0 || this.#folding !== undefined) this.fold()
    for (const key of KEYS) this.checkKey(key)
    strictEqual(this.#layers.keyCount, this.#state.size)
    const bytesOf = (sum: number, [key, value]: [string, string]): number => sum + key.length + value.length
    strictEqual(this.#layers.bytes, [...this.#state].reduce(bytesOf, 0))
    deepStrictEqual([...new Set(this.#layers.keys())].sort(), [...this.#state.keys()].sort())
  }
}

describe.each([false, true])("patched: %s", (isPatched) => {
  test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))(
    "layers: what is written while runs are loaded wins over them, seed %i",
    (seed) => {
      const roll = dice(isPatched ? seed + SEEDS : seed)
      const life = new Life(recordsOf(roll, isPatched), isPatched)
      for (let step = 0; step < STEPS; step++) {
        const what = roll(12)
        const key = KEYS[roll(KEYS.length)]!
        if (what < 4) life.write(key, roll(3) === 0 ? "" : `written ${step}`)
        else if (what < 6) life.load()
        else if (what === 6) life.seal()
        else if (what === 7) life.dump()
        else if (what < 10) life.fold()
        life.checkKey(key)
      }
      life.end()
    },
  )
})

test("layers: keys that were loaded keep their order, whatever was written before them", () => {
  const layers = new Layers()
  layers.beginLoad(3, false)
  layers.set("c", bytes("new"))
  layers.set("b", bytes("newer"))
  for (const key of ["a", "b", "d"]) layers.load(key, bytes("old"))
  layers.endLoad()
  for (const _ of layers.fold());
  const keys = [...layers.entries(layers.seal())].map(([key, value]) => `${key}=${text(value)}`)
  deepStrictEqual(keys, ["a=old", "b=newer", "d=old", "c=new"])
})
