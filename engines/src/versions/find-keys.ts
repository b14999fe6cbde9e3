// Finding many keys in a run at once, without an index of all records in memory.
//
//   hashed run   hash section, 12 bytes a record ── hashes that are wanted ── the records, keys compared
//   sorted run   filter ── fences ── one data block a key
//   either       many keys of the run ── all of its records once, in order: cheaper than a read for each
//
// One reading of the hash section serves any number of keys: who has many asks for them together.

import { createHash } from "node:crypto"
import { assert } from "../base/assert.ts"
import { compareRanges } from "../base/bytes.ts"
import { eachAtOnce } from "../base/each-at-once.ts"
import { KeyHasher } from "../base/key-hash.ts"
import { decodeRecord, RecordCursor } from "../base/record.ts"
import { RecordStream } from "../runs/record-stream.ts"
import type { RunFile } from "../runs/run-file.ts"
import { RUN_BLOCK_BYTES } from "../runs/run-format.ts"

/** Records that are read at the same time. */
const READS_AT_ONCE = 16
/** From so many keys on, and one record in so many, all records are read one after the other. */
const BULK_KEYS_MIN = 1024
const BULK_SHARE = 64
/** Blocks of a sorted run that are then read at a time: 1 MiB. */
const BULK_BLOCKS = 256
const H2_SPAN = 2 ** 16

/** A key's record in a run: reading on from `offset` meets it. */
export interface RecordPlace {
  readonly offset: number
  readonly isTombstone: boolean
  /** SHA-256 of the value, when it came by on the way: equal ones need not be read. */
  readonly digest?: string
}

/** Keys to be found, by their hashes; those that were found are taken out. */
export class WantedKeys {
  readonly keys: readonly Uint8Array[]
  readonly #hashes: Float64Array
  /** Places in `keys`. */
  readonly #byHash = new Map<number, number[]>()
  #count: number

  constructor(keys: readonly Uint8Array[], hashSeed: number) {
    this.keys = keys
    this.#count = keys.length
    this.#hashes = new Float64Array(keys.length)
    const hasher = new KeyHasher(hashSeed)
    for (const [i, key] of keys.entries()) {
      hasher.hash(key, 0, key.length)
      const hash = hasher.h1 * H2_SPAN + hasher.h2
      this.#hashes[i] = hash
      const same = this.#byHash.get(hash)
      if (same === undefined) this.#byHash.set(hash, [i])
      else same.push(i)
    }
  }

  /** How many were not found yet. */
  get count(): number {
    return this.#count
  }

  /** Places in `keys` of those with this hash. */
  withHash(h1: number, h2: number): readonly number[] | undefined {
    return this.#byHash.get(h1 * H2_SPAN + h2)
  }

  /** Places in `keys` of all. */
  *places(): Generator<number> {
    for (const places of this.#byHash.values()) yield* places
  }

  hashOf(place: number): { readonly h1: number; readonly h2: number } {
    const hash = this.#hashes[place]!
    return { h1: Math.floor(hash / H2_SPAN), h2: hash % H2_SPAN }
  }

  delete(place: number): void {
    this.#count--
    const hash = this.#hashes[place]!
    const left = this.#byHash.get(hash)?.filter((each) => each !== place) ?? []
    if (left.length === 0) this.#byHash.delete(hash)
    else this.#byHash.set(hash, left)
  }
}

/**
 * The newest record of each key that the run holds, by the key's place in `wanted.keys`. A sorted run has its index.
 * @throws (rejects) EngineError `DATA_LOSS`, `REPOSITORY_FAILED`
 */
export function findInRun(run: RunFile, wanted: WantedKeys): Promise<Map<number, RecordPlace>> {
  const isHashed = "hashes" in run.layout.index
  if (wanted.count >= BULK_KEYS_MIN && wanted.count * BULK_SHARE >= run.figures.recordCount) {
    return isHashed ? passHashed(run, wanted) : passSorted(run, wanted)
  }
  return isHashed ? findHashed(run, wanted) : findSorted(run, wanted)
}

/** The value of `key`, whose record is found from `offset` on; a copy. */
export async function readValue(run: RunFile, { offset }: RecordPlace, key: Uint8Array): Promise<Uint8Array> {
  const stream = await streamTo(run, offset, run.figures.recordsBytes, key)
  assert(stream !== undefined, "a record that was found is there")
  return new Uint8Array(stream.bytes.subarray(stream.cursor.valueStart, stream.cursor.end))
}

async function findHashed(run: RunFile, wanted: WantedKeys): Promise<Map<number, RecordPlace>> {
  const candidates: { readonly place: number; readonly offset: number; readonly isTombstone: boolean }[] = []
  for await (const { count, h1, h2, offset, tombstone } of run.hashes()) {
    for (let i = 0; i < count; i++) {
      const places = wanted.withHash(h1[i]!, h2[i]!)
      if (places === undefined) continue
      for (const place of places)
        candidates.push({ place, offset: offset[i]!, isTombstone: tombstone[i] === 1 })
    }
  }
  const isSame = await eachAtOnce(candidates, READS_AT_ONCE, async ({ place, offset }) => {
    const stream = await streamTo(run, offset, offset + 1, wanted.keys[place]!)
    return stream !== undefined
  })
  const found = new Map<number, RecordPlace>()
  // In file order: of two records of a key the later one counts.
  for (const [i, { place, offset, isTombstone }] of candidates.entries()) {
    if (isSame[i]) found.set(place, { offset, isTombstone })
  }
  return found
}

async function findSorted(run: RunFile, wanted: WantedKeys): Promise<Map<number, RecordPlace>> {
  const { sortedIndex } = run
  assert(sortedIndex !== undefined, "the index of a sorted run was read")
  const { filter, fences } = sortedIndex
  const likely: number[] = []
  for (const place of wanted.places()) {
    const { h1, h2 } = wanted.hashOf(place)
    if (fences.count > 0 && filter.mayHold(h1, h2)) likely.push(place)
  }
  const found = new Map<number, RecordPlace>()
  await eachAtOnce(likely, READS_AT_ONCE, async (place) => {
    const key = wanted.keys[place]!
    const block = fences.find(key, 0, key.length)
    const stream = await streamTo(run, fences.start(block), fences.end(block), key)
    if (stream === undefined) return
    found.set(place, { offset: fences.start(block), isTombstone: stream.cursor.isTombstone })
  })
  return found
}

async function passHashed(run: RunFile, wanted: WantedKeys): Promise<Map<number, RecordPlace>> {
  const found = new Map<number, RecordPlace>()
  const cursor = new RecordCursor()
  for await (const { bytes, bytesOffset, hashes, from, to } of run.scan()) {
    for (let i = from; i < to; i++) {
      const places = wanted.withHash(hashes.h1[i]!, hashes.h2[i]!)
      if (places === undefined) continue
      decodeRecord(bytes, hashes.offset[i]! - bytesOffset, bytes.length, cursor)
      note(found, wanted, places, bytes, cursor, hashes.offset[i]!)
    }
  }
  return found
}

async function passSorted(run: RunFile, wanted: WantedKeys): Promise<Map<number, RecordPlace>> {
  const found = new Map<number, RecordPlace>()
  const hasher = new KeyHasher(run.hashSeed)
  const stream = new RecordStream(run, BULK_BLOCKS)
  for (;;) {
    const advanced = stream.advance()
    if (!(typeof advanced === "boolean" ? advanced : await advanced)) return found
    const { bytes, cursor, recordOffset } = stream
    hasher.hash(bytes, cursor.keyStart, cursor.keyEnd)
    const places = wanted.withHash(hasher.h1, hasher.h2)
    if (places !== undefined) note(found, wanted, places, bytes, cursor, recordOffset)
  }
}

/** The record at `offset`, if its key is one of those at `places`; of two records of a key the later one counts. */
function note(
  found: Map<number, RecordPlace>,
  wanted: WantedKeys,
  places: readonly number[],
  bytes: Uint8Array,
  { keyStart, keyEnd, valueStart, end, isTombstone }: RecordCursor,
  offset: number,
): void {
  for (const place of places) {
    const key = wanted.keys[place]!
    if (compareRanges(bytes, keyStart, keyEnd, key, 0, key.length) !== 0) continue
    const value = bytes.subarray(valueStart, end)
    found.set(place, { offset, isTombstone, digest: createHash("sha256").update(value).digest("base64") })
  }
}

/** A stream that stands at the record of `key`, which starts at `[start, end)` of the run; undefined: there is none. */
async function streamTo(
  run: RunFile,
  start: number,
  end: number,
  key: Uint8Array,
): Promise<RecordStream | undefined> {
  const blocks = Math.ceil(end / RUN_BLOCK_BYTES) - Math.floor(start / RUN_BLOCK_BYTES)
  const stream = new RecordStream(run, Math.min(Math.max(blocks, 1), 2), start)
  for (;;) {
    const advanced = stream.advance()
    if (!(typeof advanced === "boolean" ? advanced : await advanced)) return undefined
    if (stream.recordOffset >= end) return undefined
    const { bytes, cursor } = stream
    if (compareRanges(bytes, cursor.keyStart, cursor.keyEnd, key, 0, key.length) === 0) return stream
  }
}
