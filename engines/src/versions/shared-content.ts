// What two versions share in the repository: runs by identity, chunks by hash. Nothing but recipes is read.

import { eachAtOnce } from "../base/each-at-once.ts"
import type { Manifest, StoredRun } from "../snapshots/manifest.ts"
import type { Repository } from "../snapshots/repository.ts"
import type { RunChunks } from "../snapshots/run-chunks.ts"
import { hexOf } from "../snapshots/stored-bytes.ts"

/** Recipes that are read at the same time. */
const RECIPES_AT_ONCE = 16

/** Chunks and their bytes, each hash counted once. */
export interface ChunkFigures {
  readonly chunks: number
  readonly bytes: number
}

export interface SharedContent {
  /** In both versions, in the first only, in the second only. */
  readonly shared: ChunkFigures
  readonly before: ChunkFigures
  readonly after: ChunkFigures
  readonly runsShared: number
}

/** Adds the chunks of some runs to a table of lengths by hash. 100 bytes of memory a chunk, of some 16 KiB. */
export async function chunksOf(
  repository: Pick<Repository, "storedRuns">,
  runs: readonly StoredRun[],
  into = new Map<string, number>(),
): Promise<Map<string, number>> {
  await eachAtOnce(runs, RECIPES_AT_ONCE, async (run) => {
    const [chunks] = await repository.storedRuns.find([run])
    for (let i = 0; i < chunks!.count; i++) into.set(hashText(chunks!, i), chunks!.bytesOf(i))
  })
  return into
}

/** Figures of a chunk table. */
export function chunkFigures(lengths: Iterable<number>): ChunkFigures {
  let [chunks, bytes] = [0, 0]
  for (const length of lengths) {
    chunks++
    bytes += length
  }
  return { chunks, bytes }
}

/** @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED` */
export async function sharedContent(
  repository: Pick<Repository, "storedRuns">,
  before: readonly Manifest[],
  after: readonly Manifest[],
): Promise<SharedContent> {
  const [runsBefore, runsAfter] = [before.flatMap(({ runs }) => runs), after.flatMap(({ runs }) => runs)]
  const ids = new Set(runsBefore.map(({ id }) => id))
  const inBefore = await chunksOf(repository, runsBefore)
  const inAfter = await chunksOf(repository, runsAfter)
  const lengths = (is: boolean, from: Map<string, number>, other: Map<string, number>): number[] =>
    [...from].filter(([hash]) => other.has(hash) === is).map(([, bytes]) => bytes)
  return {
    shared: chunkFigures(lengths(true, inBefore, inAfter)),
    before: chunkFigures(lengths(false, inBefore, inAfter)),
    after: chunkFigures(lengths(false, inAfter, inBefore)),
    runsShared: runsAfter.filter(({ id }) => ids.has(id)).length,
  }
}

/** The hash of chunk `index` as hex digits. */
export function hashText(chunks: RunChunks, index: number): string {
  const hash = chunks.hashOf(index)
  return hexOf(hash, 0, hash.length)
}
