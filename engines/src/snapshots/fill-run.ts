// A job for another thread: brings chunks of a run into its file.
//
//   stretch of chunks ── already in the file, left by an earlier process? ── the rest: ranges of 2 MiB at most
//        ── 8 ranges on their way ── each chunk hashed ── written to its place in the file
//
// A chunk counts as brought when its hash was right and its bytes were written; what is damaged in the repository is
// told and does not keep the others from coming. A chunk longer than a range comes in pieces, and its hash runs on
// over them: so 16 MiB bound the memory whatever the sizes of chunks and run. Nothing is synced here.

import { createHash } from "node:crypto"
import { eachAtOnce } from "../base/each-at-once.ts"
import { EngineError, isEngineError } from "../base/error.ts"
import { defineJob } from "../io/executor.ts"
import type { File } from "../io/file-system.ts"
import type { ObjectStore } from "../io/object-store.ts"
import { readRange } from "./read-recipe.ts"
import { type ChunkRange, type ChunkStretch, RunChunks } from "./run-chunks.ts"

const RANGE_BYTES = 2 * 1024 * 1024
const RANGES_IN_FLIGHT = 8

export interface FillRunInput {
  /** URL of the object store. */
  readonly url: string
  readonly stretch: ChunkStretch
  /** Absolute; the file is there, as long as the run. */
  readonly path: string
  /** One byte a chunk of the stretch: 1 when it is not wanted. */
  readonly isSkipped: Uint8Array
  /** Whether the file may hold some of those that are wanted. */
  readonly isResumed: boolean
}

/** What a stretch of chunks came to. */
export interface Filled {
  /** One byte a chunk of the stretch: 1 when it is in the file, or was not wanted. */
  readonly isHere: Uint8Array
  /** Why others are not: what is wrong with the repository's bytes. */
  readonly damage: readonly string[]
}

/**
 * Brings chunks into a file; they are right, but not durable, when it resolves.
 * @throws (rejects) EngineError `REPOSITORY_FAILED`, `STORAGE_FULL`, `STORAGE_FAILED`
 */
export const fillRun = defineJob(
  import.meta.url,
  "fillRun",
  async (context, { url, stretch, path, ...how }: FillRunInput): Promise<Filled> => {
    const objectStore = await context.objectStore(url)
    const file = await context.fileSystem.open(path, "edit")
    if (file === undefined) throw new EngineError("STORAGE_FAILED", `${path} is gone`)
    try {
      return await fillChunks(objectStore, new RunChunks(stretch), file, how)
    } finally {
      await file.close()
    }
  },
)

/** Brings `chunks` into `file`. Errors as the job. */
export async function fillChunks(
  objectStore: ObjectStore,
  chunks: RunChunks,
  file: File,
  { isSkipped, isResumed }: Pick<FillRunInput, "isSkipped" | "isResumed">,
): Promise<Filled> {
  const isHere = isSkipped.slice()
  const damage = new Set<string>()
  if (isResumed) await findChunks(chunks, file, isHere)
  const missing = [...isHere.keys()].filter((index) => isHere[index] === 0)
  await eachAtOnce(chunks.ranges(missing, RANGE_BYTES), RANGES_IN_FLIGHT, async (range) => {
    try {
      await bringRange(objectStore, chunks, range, file, { isHere, damage })
    } catch (error) {
      if (!isEngineError(error, "DATA_LOSS")) throw error
      damage.add(error.message)
    }
  })
  return { isHere, damage: [...damage] }
}

/** Marks the chunks that are in the file: those whose bytes there have the right hash. */
async function findChunks(chunks: RunChunks, file: File, isHere: Uint8Array): Promise<void> {
  const piece = new Uint8Array(RANGE_BYTES)
  for (let index = 0; index < chunks.count; index++) {
    if (isHere[index] === 1) continue
    const hash = createHash("sha256")
    for (let at = chunks.start(index); at < chunks.start(index + 1); at += RANGE_BYTES) {
      const part = piece.subarray(0, Math.min(RANGE_BYTES, chunks.start(index + 1) - at))
      hash.update(part.subarray(0, await file.read(part, at)))
    }
    if (Buffer.compare(hash.digest(), chunks.hashOf(index)) === 0) isHere[index] = 1
  }
}

async function bringRange(
  objectStore: ObjectStore,
  chunks: RunChunks,
  range: ChunkRange,
  file: File,
  filled: { readonly isHere: Uint8Array; readonly damage: Set<string> },
): Promise<void> {
  if (range.bytes > RANGE_BYTES) return bringLongChunk(objectStore, chunks, range, file, filled)
  const source = await readRange(objectStore, range)
  const base = chunks.start(range.first)
  const end = range.first + range.count
  // Nothing wrong is written: a reader may have brought the right bytes meanwhile.
  for (let from = range.first, to = from; to <= end; to++) {
    const isRight =
      to < end && chunks.isChunk(to, source.subarray(chunks.start(to) - base, chunks.start(to + 1) - base))
    if (isRight) continue
    if (to > from) {
      await file.write(
        source.subarray(chunks.start(from) - base, chunks.start(to) - base),
        chunks.start(from),
      )
      filled.isHere.fill(1, from, to)
    }
    if (to < end) filled.damage.add(chunks.damage(to).message)
    from = to + 1
  }
}

async function bringLongChunk(
  objectStore: ObjectStore,
  chunks: RunChunks,
  { first: index, pack, offset, bytes }: ChunkRange,
  file: File,
  { isHere }: { readonly isHere: Uint8Array },
): Promise<void> {
  const hash = createHash("sha256")
  for (let at = 0; at < bytes; at += RANGE_BYTES) {
    const piece = { pack, offset: offset + at, bytes: Math.min(RANGE_BYTES, bytes - at) }
    const source = await readRange(objectStore, piece)
    hash.update(source)
    await file.write(source, chunks.start(index) + at)
  }
  if (Buffer.compare(hash.digest(), chunks.hashOf(index)) !== 0) throw chunks.damage(index)
  isHere[index] = 1
}
