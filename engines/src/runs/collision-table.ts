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

/** Above this many, writers wait until records on disk have been compared. */
export const DISPLACED_MAX = 16_384

/** A record whose key has not been compared yet. */
export interface Displaced {
  readonly h1: number
  readonly h2: number
  place: number
  readonly sequence: number
}

interface Known extends Displaced {
  readonly key: Uint8Array
}

export class CollisionTable {
  readonly #known = new Map<string, Known>()
  /** Oldest first. */
  readonly #displaced = new Set<Displaced>()
  /** The same by hash, each list oldest first: every read of a cold key asks here. */
  readonly #displacedByHash = new Map<number, Displaced[]>()
  /** Hashes of all that was ever known: runs may hold several keys of them although one is known no more. */
  readonly #shared = new Set<string>()
  #sequence = 0

  /** True nearly always: then the index alone knows every key. */
  get isEmpty(): boolean {
    return this.#known.size === 0 && this.#displaced.size === 0
  }

  /** Of the newest entry ever made. */
  get lastSequence(): number {
    return this.#sequence
  }

  get displacedCount(): number {
    return this.#displaced.size
  }

  /** Places of the known keys; with those of the index these are the places of all keys. */
  places(): number[] {
    return Array.from(this.#known.values(), (known) => known.place)
  }

  /** Places of known and displaced records. */
  allPlaces(): number[] {
    return [...this.places(), ...Array.from(this.#displaced, (entry) => entry.place)]
  }

  /** The place of a known key, or -1. */
  get(key: Uint8Array): number {
    return this.#known.get(nameOf(key))?.place ?? -1
  }

  /** Makes `key` known at `place`, newer than all before. Copies the key. */
  set(key: Uint8Array, h1: number, h2: number, place: number): void {
    this.#shared.add(hashName(h1, h2))
    this.#known.set(nameOf(key), { key: new Uint8Array(key), h1, h2, place, sequence: ++this.#sequence })
  }

  /** Notes that `place` was pushed out of the index unread. */
  displace(h1: number, h2: number, place: number): void {
    const entry = { h1, h2, place, sequence: ++this.#sequence }
    this.#displaced.add(entry)
    const others = this.#displacedByHash.get(hashNumber(h1, h2))
    if (others === undefined) this.#displacedByHash.set(hashNumber(h1, h2), [entry])
    else others.push(entry)
  }

  /**
   * Places of displaced records with this hash, newest first: where a key may be that is neither known nor the
   * one in the index. The first whose key is equal is the right one.
   */
  candidates(h1: number, h2: number): number[] {
    return this.#newerThan(0, h1, h2)
  }

  /** As `candidates`, but only those that are newer than what is known of `key`. */
  displacedSince(key: Uint8Array, h1: number, h2: number): number[] {
    return this.#newerThan(this.#known.get(nameOf(key))?.sequence ?? 0, h1, h2)
  }

  /** Up to `count` displaced records, oldest first, to be compared. They stay until `settle`. */
  oldestDisplaced(count: number): readonly Displaced[] {
    const oldest: Displaced[] = []
    for (const entry of this.#displaced) {
      if (oldest.length === count) break
      oldest.push(entry)
    }
    return oldest
  }

  /**
   * The record of `entry` was read: `key` is its key. `sameAsIndex` says that the index holds a newer record of
   * the same key; otherwise the key is known from now on, unless something newer is known of it.
   */
  settle(entry: Displaced, key: Uint8Array, sameAsIndex: boolean): void {
    if (!this.#forget(entry) || sameAsIndex) return
    const name = nameOf(key)
    const known = this.#known.get(name)
    if (known === undefined || known.sequence < entry.sequence) {
      this.#shared.add(hashName(entry.h1, entry.h2))
      this.#known.set(name, { ...entry, key: new Uint8Array(key) })
    }
  }

  /**
   * Follows a merge: every entry for which `target` gives a place moves there; -1 says that the record is gone.
   */
  relocate(target: (place: number) => number | undefined): void {
    for (const [name, known] of this.#known) {
      const place = target(known.place)
      if (place === -1) this.#known.delete(name)
      else if (place !== undefined) known.place = place
    }
    for (const entry of this.#displaced) {
      const place = target(entry.place)
      if (place === -1) this.#forget(entry)
      else if (place !== undefined) entry.place = place
    }
  }

  /**
   * Hashes that several keys share or may share, as 12 hex digits, for the version: who loads its runs must
   * compare the keys of records with these hashes, and of no others.
   */
  hashes(): string[] {
    const names = new Set(this.#shared)
    for (const entry of this.#displaced) names.add(hashName(entry.h1, entry.h2))
    return [...names].sort()
  }

  /** Places of displaced records with this hash, above a sequence, newest first. */
  #newerThan(sequence: number, h1: number, h2: number): number[] {
    const places: number[] = []
    for (const entry of this.#displacedByHash.get(hashNumber(h1, h2)) ?? []) {
      if (entry.sequence > sequence) places.unshift(entry.place)
    }
    return places
  }

  /** False when the entry was forgotten before. */
  #forget(entry: Displaced): boolean {
    if (!this.#displaced.delete(entry)) return false
    const hash = hashNumber(entry.h1, entry.h2)
    const others = this.#displacedByHash.get(hash)!.filter((other) => other !== entry)
    if (others.length === 0) this.#displacedByHash.delete(hash)
    else this.#displacedByHash.set(hash, others)
    return true
  }
}

function hashNumber(h1: number, h2: number): number {
  return h1 * 0x1_0000 + h2
}

/** The form in which `hashes` names a hash. */
export function hashName(h1: number, h2: number): string {
  return h1.toString(16).padStart(8, "0") + h2.toString(16).padStart(4, "0")
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1")
}
