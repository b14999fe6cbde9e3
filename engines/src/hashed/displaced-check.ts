// Compares, behind the writers, the keys of records on disk that writes have pushed out of the index unread.
// See collision-table.ts for why.

import { equalBytes } from "../base/bytes.ts"
import { EngineError } from "../base/error.ts"
import { type CollisionTable, DISPLACED_MAX } from "../runs/collision-table.ts"
import type { HashIndex } from "../runs/hash-index.ts"

/** Records read at the same time: asking the disk for one holds the thread for 10 to 100 µs. */
const READS_AT_ONCE = 16

export interface DisplacedCheckParts {
  /** A copy of the key of the record at a place, which must be readable. */
  readonly readKey: (place: number) => Uint8Array | Promise<Uint8Array>
  /** Hears of a record that cannot be read: the state can no longer be told for sure. */
  readonly fail: (error: unknown) => void
}

export class DisplacedCheck {
  readonly #collisions: CollisionTable
  readonly #index: HashIndex
  readonly #parts: DisplacedCheckParts
  #loop: Promise<void> | undefined
  /** The records that are being read. */
  #batch: Promise<unknown> | undefined
  #failure: unknown
  #isClosing = false

  constructor(collisions: CollisionTable, index: HashIndex, parts: DisplacedCheckParts) {
    this.#collisions = collisions
    this.#index = index
    this.#parts = parts
  }

  /** Starts the comparison when there is something to compare. A promise when writers are too far ahead. */
  pressure(): Promise<void> | undefined {
    if (this.#collisions.displacedCount === 0) return undefined
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined
    })
    return this.#collisions.displacedCount > DISPLACED_MAX ? this.#loop : undefined
  }

  /** Resolves when everything that is displaced now has been compared. Rejects when that cannot be done. */
  async settled(): Promise<void> {
    const last = this.#collisions.lastSequence
    for (;;) {
      const oldest = this.#collisions.displaced.oldestFrom(0)
      if (oldest < 0 || oldest > last) return
      if (this.#failure !== undefined) throw this.#failure
      if (this.#isClosing) throw new EngineError("ENGINE_CLOSED", "the engine was closed")
      void this.pressure()
      await (this.#batch ?? this.#loop)
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true
    await this.#loop
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isClosing && this.#collisions.displacedCount > 0) {
        const { displaced } = this.#collisions
        const checks: Promise<void>[] = []
        for (let at = displaced.oldestFrom(0); at >= 0 && checks.length < READS_AT_ONCE; ) {
          checks.push(this.#check(at))
          at = displaced.oldestFrom(at + 1)
        }
        this.#batch = Promise.all(checks)
        await this.#batch
      }
    } catch (error) {
      this.#failure ??= error
      if (!this.#isClosing) this.#parts.fail(error)
    }
  }

  async #check(sequence: number): Promise<void> {
    const { displaced } = this.#collisions
    const h1 = displaced.h1(sequence)
    const h2 = displaced.h2(sequence)
    const key = await this.#parts.readKey(displaced.place(sequence))
    for (;;) {
      const place = this.#index.get(h1, h2)
      if (place < 0) return this.#collisions.settle(sequence, key, false)
      const read = this.#parts.readKey(place)
      const current = read instanceof Promise ? await read : read
      // While the disk was asked, the index may have moved on.
      if (this.#index.get(h1, h2) !== place) continue
      const isSame = current.length === key.length && equalBytes(current, 0, key, 0, key.length)
      return this.#collisions.settle(sequence, key, isSame)
    }
  }
}
