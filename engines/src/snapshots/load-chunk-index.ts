// Fills a chunk index from the packs of a repository, newest first, until it has taken what it can keep.

import { isEngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { ObjectStore, ObjectSummary } from "../io/object-store.ts"
import type { ChunkIndex } from "./chunk-index.ts"
import { HASH_BYTES } from "./chunk-list.ts"
import {
  decodePackEntries,
  decodePackTrailer,
  PACK_ENTRY_BYTES,
  PACK_TRAILER_BYTES,
  type PackEntries,
} from "./pack.ts"
import type { PackFolder } from "./region-kind.ts"
import { PACKS_PREFIX, parsePackFolder, parsePackKey } from "./repository-keys.ts"
import { damaged } from "./stored-bytes.ts"

/** Packs read at most; older ones only cost deduplication. */
const PACKS_READ_MAX = 4096
const PACKS_READ_AT_ONCE = 16
/** What is read of a pack's end at first; holds the entries of most packs. */
const TAIL_BYTES = 16 * 1024
/** Entries taken over before other work gets its turn. */
const ENTRIES_A_TURN = 1024

/**
 * Adds the chunks of the newest packs to `index`, `countMax` of them. A pack that is damaged or
 * of a newer format is left out and told to `onDamage`; what refers to it finds out by itself.
 * @throws (rejects) EngineError `REPOSITORY_FAILED`
 */
export async function loadChunkIndex(
  objectStore: ObjectStore,
  index: Pick<ChunkIndex, "add" | "count">,
  options: {
    readonly countMax: number
    readonly clock: Clock
    readonly onDamage: (key: string, error: Error) => void
    /** Where the packs are filed; `records` unless told otherwise. */
    readonly folders?: readonly PackFolder[]
  },
): Promise<void> {
  const { folders = ["records"] } = options
  const packs = (await objectStore.list(PACKS_PREFIX)).filter(({ key }) =>
    folders.some((folder) => parsePackFolder(key) === folder),
  )
  // Identities begin with their time.
  packs.sort((a, b) => (parsePackKey(a.key)! < parsePackKey(b.key)! ? 1 : -1))
  const newest = packs.slice(0, PACKS_READ_MAX)
  for (let first = 0; first < newest.length; first += PACKS_READ_AT_ONCE) {
    if (index.count >= options.countMax) return
    const batch = newest.slice(first, first + PACKS_READ_AT_ONCE)
    const read = await Promise.all(batch.map((pack) => readEntries(objectStore, pack, options.onDamage)))
    for (const [i, entries] of read.entries()) {
      if (entries !== undefined) await addEntries(index, parsePackKey(batch[i]!.key)!, entries, options)
    }
  }
}

async function addEntries(
  index: Pick<ChunkIndex, "add" | "count">,
  pack: string,
  entries: PackEntries,
  { countMax, clock }: { readonly countMax: number; readonly clock: Clock },
): Promise<void> {
  // More would push those of newer packs out.
  for (let i = 0; i < entries.count && index.count < countMax; i++) {
    if (i % ENTRIES_A_TURN === ENTRIES_A_TURN - 1) await clock.nextTurn()
    const place = { pack, offset: entries.offsets[i]!, length: entries.lengths[i]! }
    index.add(entries.kinds[i]!, entries.hashes, i * HASH_BYTES, place)
  }
}

/** The entries of a pack; undefined when it has been removed meanwhile or cannot be believed. */
async function readEntries(
  objectStore: ObjectStore,
  pack: ObjectSummary,
  onDamage: (key: string, error: Error) => void,
): Promise<PackEntries | undefined> {
  try {
    return await readPackEntries(objectStore, pack)
  } catch (error) {
    if (!isEngineError(error, "DATA_LOSS") && !isEngineError(error, "FORMAT_NEWER")) throw error
    onDamage(pack.key, error)
    return undefined
  }
}

/**
 * Reads and checks the entries of a pack; undefined when there is none.
 * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`
 */
export async function readPackEntries(
  objectStore: ObjectStore,
  pack: Pick<ObjectSummary, "key" | "bytes">,
): Promise<PackEntries | undefined> {
  const tailBytes = Math.min(pack.bytes, TAIL_BYTES)
  const tail = await objectStore.get(pack.key, { offset: pack.bytes - tailBytes, bytes: tailBytes })
  if (tail === undefined) return undefined
  if (tail.length !== tailBytes) throw damaged(pack.key, `it has not ${pack.bytes} bytes`)
  const trailer = decodePackTrailer(tail, pack.bytes, pack.key)
  if (trailer.id !== parsePackKey(pack.key)) throw damaged(pack.key, `it is the pack ${trailer.id}`)
  const entriesBytes = trailer.count * PACK_ENTRY_BYTES
  const start = tailBytes - PACK_TRAILER_BYTES - entriesBytes
  if (start >= 0) return decodePackEntries(tail.subarray(start, start + entriesBytes), trailer, pack.key)
  const range = { offset: trailer.entriesOffset, bytes: entriesBytes }
  const source = await objectStore.get(pack.key, range)
  return source === undefined ? undefined : decodePackEntries(source, trailer, pack.key)
}
