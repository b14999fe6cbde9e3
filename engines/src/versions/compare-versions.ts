// Which keys differ between two versions of a partition. The cost follows what the two do not share:
//
//   runs of both versions        not read: a key whose only records are there has the same value in both, since runs
//                                keep their order. They are only asked for the other value of a key that differs.
//   runs of one version only     read, for their keys: the candidates
//   chunks of these that both    not read when each version has one such run and that run has each key once (sorted
//   have                         runs), and of dumps of `memory` without patches, all runs of which together have
//                                each key once.
//                                Otherwise the order of two records of a key cannot be told from chunks, and they are
//                                read.
//
//   candidates ── of one slice of the hashes at a time ── located in both versions
//     ── same run, or same SHA-256? ── values compared
//
// Memory: SLICE_KEYS_MAX keys and their places, some 400 bytes each. More candidates take more passes, each of which
// reads the runs of one version only again.

import { compareBytes, copyBytes } from "../base/bytes.ts"
import { eachAtOnce } from "../base/each-at-once.ts"
import { KeyHasher } from "../base/key-hash.ts"
import { readDumpState } from "../runs/dump-state.ts"
import { RecordStream } from "../runs/record-stream.ts"
import { RUN_BLOCK_BYTES } from "../runs/run-format.ts"
import type { StoredRun } from "../snapshots/manifest.ts"
import type { Repository } from "../snapshots/repository.ts"
import type { RunShelf } from "./run-shelf.ts"
import { chunksOf, hashText } from "./shared-content.ts"
import type { KeyPlace, VersionReader } from "./version-reader.ts"

/** Keys of one pass, and bytes of their records, as far as hashes are spread evenly. */
const SLICE_KEYS_MAX = 256 * 1024
const SLICE_BYTES_MAX = 128 * 1024 * 1024
/** Differing keys whose values are read at a time. */
const VALUES_AT_ONCE = 16
/** Blocks of a run read at a time: 256 KiB. */
const WINDOW_BLOCKS = 64

/** A key with its values in both versions; undefined: it has none there. */
export interface KeyChange {
  readonly key: Uint8Array
  readonly before: Uint8Array | undefined
  readonly after: Uint8Array | undefined
}

/** Records `[start, end)` of a run that only one of the versions has. */
interface Stretch {
  readonly run: StoredRun
  readonly start: number
  readonly end: number
}

/**
 * The keys whose values differ, each once, in no order.
 * @param shelf the one that both readers were opened with
 * @throws EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`
 */
export async function* compareVersions(
  repository: Pick<Repository, "storedRuns">,
  shelf: RunShelf,
  before: VersionReader,
  after: VersionReader,
  slice: { readonly keysMax: number } = { keysMax: SLICE_KEYS_MAX },
): AsyncGenerator<KeyChange[], void, undefined> {
  const stretches = await differingStretches(repository, before, after)
  const runs = new Set(stretches.map(({ run }) => run))
  const recordCount = [...runs].reduce((sum, run) => sum + run.recordCount, 0)
  const recordsBytes = stretches.reduce((sum, { start, end }) => sum + end - start, 0)
  const sliceCount = Math.max(
    1,
    Math.ceil(recordCount / slice.keysMax),
    Math.ceil(recordsBytes / SLICE_BYTES_MAX),
  )
  for (let at = 0; at < sliceCount; at++) {
    const keys = await keysOf(shelf, stretches, at, sliceCount)
    yield* compareKeys(before, after, keys)
  }
}

async function differingStretches(
  repository: Pick<Repository, "storedRuns">,
  before: VersionReader,
  after: VersionReader,
): Promise<Stretch[]> {
  const [ours, theirs] = [onlyIn(before, after), onlyIn(after, before)]
  if (!canSkipChunks(before, after, ours, theirs)) {
    return [...ours, ...theirs].map((run) => ({ run, start: 0, end: run.recordsBytes }))
  }
  const [inOurs, inTheirs] = [await chunksOf(repository, ours), await chunksOf(repository, theirs)]
  const stretches: Stretch[] = []
  for (const [runs, others] of [
    [ours, inTheirs],
    [theirs, inOurs],
  ] as const) {
    for (const run of runs) stretches.push(...(await stretchesOf(repository, run, others)))
  }
  return stretches
}

function onlyIn(version: VersionReader, other: VersionReader): StoredRun[] {
  const ids = new Set(other.manifest.runs.map(({ id }) => id))
  return version.manifest.runs.filter(({ id }) => !ids.has(id))
}

/** Whether equal chunks of these runs say that their keys are equal. */
function canSkipChunks(
  before: VersionReader,
  after: VersionReader,
  ours: readonly StoredRun[],
  theirs: readonly StoredRun[],
): boolean {
  const isDump = ({ manifest }: VersionReader): boolean =>
    manifest.engine === "memory" && !readDumpState(manifest.engineState).isPatched
  // A key is in one run only, wherever that stands.
  if (isDump(before) && isDump(after)) return true
  if (ours.length !== 1 || theirs.length !== 1) return false
  const hasKeysOnce = (version: VersionReader): boolean => version.isOrdered || isDump(version)
  if (!hasKeysOnce(before) || !hasKeysOnce(after)) return false
  // The shared runs have to be above or below the two alike.
  const place = (version: VersionReader, [run]: readonly StoredRun[]): number =>
    version.manifest.runs.findIndex(({ id }) => id === run!.id)
  return place(before, ours) === place(after, theirs)
}

/** Stretches of records that lie in none of the chunks of `others`. No chunk holds records and something else. */
async function stretchesOf(
  repository: Pick<Repository, "storedRuns">,
  run: StoredRun,
  others: ReadonlyMap<string, number>,
): Promise<Stretch[]> {
  const [chunks] = await repository.storedRuns.find([run])
  const stretches: Stretch[] = []
  for (let i = 0; i < chunks!.count && chunks!.start(i) < run.recordsBytes; i++) {
    if (others.has(hashText(chunks!, i))) continue
    const [start, end] = [chunks!.start(i), chunks!.start(i + 1)]
    const last = stretches.at(-1)
    if (last?.end === start) stretches[stretches.length - 1] = { ...last, end }
    else stretches.push({ run, start, end })
  }
  return stretches
}

/** The keys of the stretches, each once, whose hashes are in the slice; dead records count too, and do no harm. */
async function keysOf(
  shelf: RunShelf,
  stretches: readonly Stretch[],
  slice: number,
  sliceCount: number,
): Promise<Uint8Array[]> {
  const keys = new Map<string, Uint8Array>()
  // The versions may have different seeds; slices are the same for both.
  const hasher = new KeyHasher(0)
  for (const { run, start, end } of stretches) {
    const file = await shelf.open(run)
    const blocks = Math.ceil(end / RUN_BLOCK_BYTES) - Math.floor(start / RUN_BLOCK_BYTES)
    const stream = new RecordStream(file, Math.min(blocks, WINDOW_BLOCKS), start)
    for (;;) {
      const advanced = stream.advance()
      if (!(typeof advanced === "boolean" ? advanced : await advanced)) break
      if (stream.recordOffset >= end) break
      const { bytes, cursor } = stream
      hasher.hash(bytes, cursor.keyStart, cursor.keyEnd)
      if (hasher.h1 % sliceCount !== slice) continue
      const name = bytes.toString("latin1", cursor.keyStart, cursor.keyEnd)
      if (!keys.has(name)) keys.set(name, copyBytes(bytes, cursor.keyStart, cursor.keyEnd))
    }
  }
  return [...keys.values()]
}

async function* compareKeys(
  before: VersionReader,
  after: VersionReader,
  keys: readonly Uint8Array[],
): AsyncGenerator<KeyChange[], void, undefined> {
  const [ours, theirs] = [await before.locate(keys), await after.locate(keys)]
  const differing = keys.flatMap((key, i) =>
    isSamePlace(ours[i], theirs[i]) ? [] : [{ key, ours: ours[i], theirs: theirs[i] }],
  )
  for (let at = 0; at < differing.length; at += VALUES_AT_ONCE) {
    const page = differing.slice(at, at + VALUES_AT_ONCE)
    const changes = await eachAtOnce(page, VALUES_AT_ONCE, async (each) => ({
      key: each.key,
      before: await valueAt(before, each.ours, each.key),
      after: await valueAt(after, each.theirs, each.key),
    }))
    const changed = changes.filter((change) => !isSameValue(change))
    if (changed.length > 0) yield changed
  }
}

/** True when the values are equal for certain: in one run, or by their hashes. */
function isSamePlace(a: KeyPlace | undefined, b: KeyPlace | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.run.figures.id === b.run.figures.id || (a.digest !== undefined && a.digest === b.digest)
}

async function valueAt(
  version: VersionReader,
  place: KeyPlace | undefined,
  key: Uint8Array,
): Promise<Uint8Array | undefined> {
  return place === undefined ? undefined : version.read(place, key)
}

function isSameValue({ before, after }: KeyChange): boolean {
  if (before === undefined || after === undefined) return before === after
  return compareBytes(before, after) === 0
}
