// Keys whose 48-bit hash is also another key's. The hash index holds one place per hash; this table holds what
// the index cannot say, so that keys are told apart by their bytes and never by their hash alone.
//
//   known      key -> place, for keys that are proven to share their hash with the key in the index
//   displaced  hash -> place that a write has pushed out of the index while the old record was on disk. A write
//              never waits for the disk, so the old record's key is compared later: nearly always it is the key
//              that was written, and the entry goes; otherwise the old record's key becomes known.
//
// Among ten million keys a fifth of a colliding pair is expected: `known` is empty or tiny, and an entry stays
// until the engine is closed. `displaced` follows the rate of overwrites of cold keys; the engine slows its
// writers above DISPLACED_MAX.
//
// Order: of several entries of one key the one with the highest sequence is the newest; an entry of the index is
// newer than all of them when it is of the same key.

import { DisplacedRecords } from "./displaced-records.ts"

/** Above this many, 30 bytes each, writers wait until records on disk have been compared. */
export const DISPLACED_MAX = 65_536

interface Known {
  readonly h1: number
  readonly h2: number
  place: number
  readonly sequence: number
  readonly key: Uint8Array
}

export class CollisionTable {
  readonly #known = new Map<string, Known>()
  readonly #displaced = new DisplacedRecords()
  /** Hashes of all that was ever known: runs may hold several keys of them although one is known no more. */
  readonly #shared: Set<string>
  #sequence = 0

  /** @param shared hashes, in the form of `hashes`, that runs may hold several keys of although none is known here */
  constructor(shared: Iterable<string> = []) {
    this.#shared = new Set(shared)
  }

  /** True nearly always: then the index alone knows every key. */
  get isEmpty(): boolean {
    return this.#known.size === 0 && this.#displaced.count === 0
  }

  /** Whether nothing is known or displaced under this hash. */
  isOrdinary(h1: number, h2: number): boolean {
    if (this.#shared.size > 0 && this.#shared.has(hashName(h1, h2))) return false
    return this.#displaced.count === 0 || this.candidates(h1, h2).length === 0
  }

  /** Of the newest entry ever made. */
  get lastSequence(): number {
    return this.#sequence
  }

  get knownCount(): number {
    return this.#known.size
  }

  get displacedCount(): number {
    return this.#displaced.count
  }

  /** Those that wait to be compared, by sequence: for reading. */
  get displaced(): Pick<DisplacedRecords, "count" | "has" | "h1" | "h2" | "place" | "oldestFrom"> {
    return this.#displaced
  }

  /** Places of the known keys; with those of the index these are the places of all keys. */
  places(): number[] {
    return Array.from(this.#known.values(), (known) => known.place)
  }

  /** The place of a known key, or -1. */
  get(key: Uint8Array): number {
    if (this.#known.size === 0) return -1
    return this.#known.get(nameOf(key))?.place ?? -1
  }

  /** Makes `key` known at `place`, newer than all before. Copies the key. */
  set(key: Uint8Array, h1: number, h2: number, place: number): void {
    this.#shared.add(hashName(h1, h2))
    this.#known.set(nameOf(key), { key: new Uint8Array(key), h1, h2, place, sequence: ++this.#sequence })
  }

  /** Notes that `place` was pushed out of the index unread. */
  displace(h1: number, h2: number, place: number): void {
    this.#displaced.add(h1, h2, place, ++this.#sequence)
  }

  /**
   * Places of displaced records with this hash, newest first: where a key may be that is neither known nor the
   * one in the index. The first whose key is equal is the right one.
   */
  candidates(h1: number, h2: number): readonly number[] {
    return this.#displaced.withHash(h1, h2, 0)
  }

  /** As `candidates`, but only those that are newer than what is known of `key`. */
  displacedSince(key: Uint8Array, h1: number, h2: number): readonly number[] {
    return this.#displaced.withHash(h1, h2, this.#known.get(nameOf(key))?.sequence ?? 0)
  }

  /**
   * The displaced record was read: `key` is its key. `sameAsIndex` says that the index holds a newer record of
   * the same key; otherwise the key is known from now on, unless something newer is known of it.
   */
  settle(sequence: number, key: Uint8Array, sameAsIndex: boolean): void {
    if (!this.#displaced.has(sequence)) return
    const h1 = this.#displaced.h1(sequence)
    const h2 = this.#displaced.h2(sequence)
    const place = this.#displaced.place(sequence)
    this.#displaced.forget(sequence)
    if (sameAsIndex) return
    const name = nameOf(key)
    const known = this.#known.get(name)
    if (known === undefined || known.sequence < sequence) {
      this.#shared.add(hashName(h1, h2))
      this.#known.set(name, { key: new Uint8Array(key), h1, h2, place, sequence })
    }
  }

  /** Follows a merge: known keys for which `target` gives a place move there; -1 says that the record is gone. */
  relocateKnown(target: (place: number) => number | undefined): void {
    for (const [name, known] of this.#known) {
      const place = target(known.place)
      if (place === -1) this.#known.delete(name)
      else if (place !== undefined) known.place = place
    }
  }

  /**
   * Hashes that several keys share or may share, as 12 hex digits, for the version: who loads its runs must
   * compare the keys of records with these hashes, and of no others.
   */
  hashes(): string[] {
    const names = new Set(this.#shared)
    const { displaced } = this
    for (let at = displaced.oldestFrom(0); at >= 0; at = displaced.oldestFrom(at + 1)) {
      names.add(hashName(displaced.h1(at), displaced.h2(at)))
    }
    return [...names].sort()
  }
}

/** The form in which `hashes` names a hash. */
export function hashName(h1: number, h2: number): string {
  return h1.toString(16).padStart(8, "0") + h2.toString(16).padStart(4, "0")
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1")
}
