// Compares, behind the writers, the keys of records on disk that writes have pushed out of the index unread.
// See collision-table.ts for why.

import { equalBytes } from "../base/bytes.ts"
import { EngineError } from "../base/error.ts"
import { type CollisionTable, DISPLACED_MAX, type Displaced } from "../runs/collision-table.ts"
import type { HashIndex } from "../runs/hash-index.ts"
import type { ColdRecord } from "./cold-reads.ts"

/** Records read at the same time. */
const READS_AT_ONCE = 64

export interface DisplacedCheckParts {
  /** The record at a place, which must be readable. */
  readonly read: (place: number) => ColdRecord | Promise<ColdRecord>
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
      const [oldest] = this.#collisions.oldestDisplaced(1)
      if (oldest === undefined || oldest.sequence > last) return
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
        this.#batch = Promise.all(
          this.#collisions.oldestDisplaced(READS_AT_ONCE).map((entry) => this.#check(entry)),
        )
        await this.#batch
      }
    } catch (error) {
      this.#failure ??= error
      if (!this.#isClosing) this.#parts.fail(error)
    }
  }

  async #check(entry: Displaced): Promise<void> {
    const { key } = await this.#parts.read(entry.place)
    for (;;) {
      const place = this.#index.get(entry.h1, entry.h2)
      if (place < 0) return this.#collisions.settle(entry, key, false)
      const current = this.#parts.read(place)
      const record = current instanceof Promise ? await current : current
      // While the disk was asked, the index may have moved on.
      if (this.#index.get(entry.h1, entry.h2) !== place) continue
      const isSame = record.key.length === key.length && equalBytes(record.key, 0, key, 0, key.length)
      return this.#collisions.settle(entry, key, isSame)
    }
  }
}
