// Chance that comes back: the same seed gives the same sequence, on every machine.

import type { Random } from "@varve/engines/internal"

const U32_SPAN = 0x1_0000_0000

/** Numbers by sfc32 (C. Doty-Humphrey, PractRand), seeded by splitmix32. */
export class SimulatedRandom implements Random {
  readonly seed: number
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** @param seed 32 bits, unsigned; higher bits are dropped */
  constructor(seed: number) {
    this.seed = seed >>> 0
    let state = this.seed
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0
      let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
      return mixed ^ (mixed >>> 15)
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
  }

  /** 32 bits, unsigned. */
  next(): number {
    const result = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0
    return result >>> 0
  }

  /** An integer of `[0, bound)`; `bound` is 1 to 2^32. */
  integer(bound: number): number {
    return Math.floor((this.next() / U32_SPAN) * bound)
  }

  /** True once in `count` times, on average. */
  oneIn(count: number): boolean {
    return this.integer(count) === 0
  }

  /** One of `items`, of which there is at least one. */
  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new Error("nothing to pick from")
    return items[this.integer(items.length)]!
  }

  bytes(count: number): Uint8Array {
    const target = new Uint8Array(count)
    for (let at = 0; at < count; at++) target[at] = this.next()
    return target
  }
}
