// Finding many keys in a run at once, without an index of all records in memory.
//
//   hashed run   hash section, 12 bytes a record ── hashes that are wanted ── the records, keys compared
//   sorted run   filter ── fences ── one data block a key
//
// One reading of the hash section serves any number of keys: who has many asks for them together.

import { assert } from "../base/assert.ts"
import { compareRanges } from "../base/bytes.ts"
import { eachAtOnce } from "../base/each-at-once.ts"
import { KeyHasher } from "../base/key-hash.ts"
import { RecordStream } from "../runs/record-stream.ts"
import type { RunFile } from "../runs/run-file.ts"
import { RUN_BLOCK_BYTES } from "../runs/run-format.ts"

/** Records that are read at the same time. */
const READS_AT_ONCE = 16
const H2_SPAN = 2 ** 16

/** A key's record in a run: reading on from `offset` meets it. */
export interface RecordPlace {
  readonly offset: number
  readonly isTombstone: boolean
}

/** Keys to be found, by their hashes; those that were found are taken out. */
export class WantedKeys {
  readonly keys: readonly Uint8Array[]
  readonly #hashes: Float64Array
  /** Places in `keys`. */
  readonly #byHash = new Map<number, number[]>()

  constructor(keys: readonly Uint8Array[], hashSeed: number) {
    this.keys = keys
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

  get isEmpty(): boolean {
    return this.#byHash.size === 0
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
  return "hashes" in run.layout.index ? findHashed(run, wanted) : findSorted(run, wanted)
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
