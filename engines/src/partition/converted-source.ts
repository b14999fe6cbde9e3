// A version that another engine wrote, or another number of partitions, made into a state of this partition.
//
//   manifests of the     VersionReader       keys of this     a state of the partition's     settle
//   partitions that  ──► pages of live  ──►  partition   ──►  own engine, beside the one ──► runs, described
//   may have its keys    records                              that is served
//
// So the engine writes its runs as it always does: sorted, hashed, flushed and merged by its own jobs, in the memory that
// its settings allow, with back pressure; and every pair of engines works, a fifth one included. The thread that owns the
// partition is held for a page at a time, some 256 KiB of records.
//
// Nothing of the present state is touched. What was written is given up when the conversion fails, and a crash leaves
// runs that no state names, which the next opening removes.

import { checkBatch } from "../base/batch.ts"
import { eachAtOnce } from "../base/each-at-once.ts"
import { EngineError, isEngineError } from "../base/error.ts"
import { decodeRecord, RecordCursor } from "../base/record.ts"
import { processName } from "../io/process-identity.ts"
import type { Manifest } from "../snapshots/manifest.ts"
import { FORGOTTEN_SESSIONS } from "../snapshots/saved-sessions.ts"
import type { RecordPage } from "../versions/record-pages.ts"
import { RunShelf } from "../versions/run-shelf.ts"
import { VersionReader } from "../versions/version-reader.ts"
import { nothingSince } from "./changes.ts"
import type { LiveState, PartitionIdentity, PartitionParts } from "./live-state.ts"
import { randomSeed } from "./open-partition.ts"
import type { Partitioning } from "./partitioning.ts"
import { emptySource, type RestoreSource, versionText } from "./restore-source.ts"
import type { StateDescription } from "./state-file.ts"

/** Between two attempts to write on while memory is full. */
const RETRY_MS = 10
/** How often a conversion that waits for room asks whether it is to go on. */
const STOP_POLL_MS = 250
/** Manifests, and partitions to be taken, at the same time. */
const REQUESTS_AT_ONCE = 8
/** Of a key in a message. */
const KEY_BYTES_SHOWN = 32

/** The partition that a version is converted for. */
export interface ConvertingPartition {
  readonly identity: PartitionIdentity
  readonly parts: PartitionParts
  /** Opens a state of its engine, without runs. */
  readonly openState: (parts: PartitionParts, description: StateDescription) => Promise<LiveState>
  readonly partitioning: Partitioning | undefined
  /** As versions name who has a partition. */
  readonly ownerName: string | undefined
  /** Asked between pages. @throws EngineError when the partition does not go on: closed, fenced, poisoned */
  checkGoesOn(): void
}

/**
 * The state of a version that another engine wrote with as many partitions.
 * @param timeline where the next version goes.
 * @throws (rejects) EngineError `DATA_LOSS`, `REPOSITORY_FAILED`, `STORAGE_FULL`, `STORAGE_FAILED`, `VALUE_TOO_LARGE`,
 * and as `checkGoesOn`; no run is then held
 */
export function convertedSource(
  manifest: Manifest,
  timeline: string,
  partition: ConvertingPartition,
): Promise<RestoreSource> {
  return convert([manifest], manifest, timeline, partition)
}

/**
 * The state of this partition in a version that was written with another number of partitions. Those of them that the
 * store does not have any more are taken from their owner: he would go on acknowledging writes that are in no version.
 * @throws (rejects) as `convertedSource`, and EngineError `ENGINE_MISMATCH`, `SNAPSHOT_NOT_FOUND`, `OWNER_FENCED`
 */
export async function repartitionedSource(
  first: Manifest,
  timeline: string,
  partition: ConvertingPartition,
): Promise<RestoreSource> {
  const { identity, partitioning } = partition
  const { partitionCount: sourceCount } = first
  if (partitioning === undefined) {
    throw new EngineError(
      "ENGINE_MISMATCH",
      `${versionText(first)} was written with ${sourceCount} partitions, this store has ${identity.partitionCount}: ` +
        `no rule says which partition has a key, so their number cannot change`,
    )
  }
  const sources = partitioning.sourcesOf(identity.partition, identity.partitionCount, sourceCount)
  const manifests = await eachAtOnce(sources, REQUESTS_AT_ONCE, (source) =>
    source === first.partition ? Promise.resolve(first) : sourceManifest(first, source, partition),
  )
  await takeFormerPartitions(sourceCount, partition)
  return convert(manifests, first, timeline, partition)
}

/** @param first of the version: it says where it stands, and its metadata are those of all */
async function convert(
  manifests: readonly Manifest[],
  first: Manifest,
  timeline: string,
  partition: ConvertingPartition,
): Promise<RestoreSource> {
  const { parts } = partition
  let failure: unknown
  // What fails here is this attempt: the state that is served has its own runs.
  const own: PartitionParts = { ...parts, poison: (error) => (failure ??= error) }
  const checkGoesOn = (): void => {
    if (failure !== undefined) throw failure
    partition.checkGoesOn()
  }
  const { description } = emptySource(timeline, randomSeed(parts.seams.random.bytes(4)))
  const { line, metadata } = first
  const started = { ...description, line: [...line], metadata, sessions: FORGOTTEN_SESSIONS }
  const state = await partition.openState(own, started)
  try {
    for (const manifest of manifests) {
      for await (const page of liveRecords(manifest, parts)) {
        checkGoesOn()
        const batch = recordsOfPartition(page, manifest, partition)
        if (batch.length > 0) await write(batch, state, { parts, checkGoesOn })
        await parts.seams.clock.nextTurn()
      }
    }
    checkGoesOn()
    const { engine: name, partitionCount } = first
    const { runs, description: settled } = await state.settle()
    // What was written here, the version holds.
    const changes = nothingSince(first.createdMs)
    return { runs, description: { ...settled, changes }, converted: { engine: name, partitionCount } }
  } finally {
    await state.close()
  }
}

async function* liveRecords(manifest: Manifest, parts: PartitionParts): AsyncGenerator<RecordPage> {
  const shelf = new RunShelf(parts.repository)
  try {
    yield* (await VersionReader.open(manifest, shelf)).records()
  } finally {
    await shelf.close()
  }
}

/**
 * The records of the page that belong to the partition; the page's own bytes, moved together.
 * @throws EngineError `VALUE_TOO_LARGE`; `ENGINE_MISMATCH` when a key is where the rule would not have put it
 */
function recordsOfPartition(
  { bytes }: RecordPage,
  source: Manifest,
  { identity, partitioning, parts }: ConvertingPartition,
): Uint8Array {
  checkBatch(bytes, parts.valueBytesMax, versionText(source))
  const { partition, partitionCount } = identity
  if (partitioning === undefined || source.partitionCount === partitionCount) return bytes
  const cursor = new RecordCursor()
  let end = 0
  for (let at = 0; decodeRecord(bytes, at, bytes.length, cursor); at = cursor.end) {
    const { start, keyStart, keyEnd } = cursor
    if (partitioning.partitionOf(bytes, source.partitionCount, keyStart, keyEnd) !== source.partition) {
      throw strayKey(source, bytes.subarray(keyStart, keyEnd))
    }
    if (partitioning.partitionOf(bytes, partitionCount, keyStart, keyEnd) !== partition) continue
    if (end !== start) bytes.copyWithin(end, start, cursor.end)
    end += cursor.end - start
  }
  return bytes.subarray(0, end)
}

interface Going {
  readonly parts: PartitionParts
  checkGoesOn(): void
}

/** Writes records that were checked, and waits until more can be written. */
async function write(batch: Uint8Array, state: LiveState, going: Going): Promise<void> {
  try {
    await writeAtOnce(batch, state, going)
  } catch (error) {
    if (!isEngineError(error, "BATCH_TOO_LARGE")) throw error
    // The engine was given less memory than a page takes; nobody sees the state before it is whole.
    const cursor = new RecordCursor()
    for (let at = 0; decodeRecord(batch, at, batch.length, cursor); at = cursor.end) {
      await writeAtOnce(batch.subarray(at, cursor.end), state, going)
    }
  }
}

async function writeAtOnce(
  batch: Uint8Array,
  state: LiveState,
  { parts, checkGoesOn }: Going,
): Promise<void> {
  for (;;) {
    try {
      state.core.admit(batch.length)
      break
    } catch (error) {
      if (!isEngineError(error, "WRITES_STALLED")) throw error
      await parts.seams.clock.sleep(RETRY_MS)
      checkGoesOn()
    }
  }
  const pending = state.held(state.core.write(batch), batch.length)
  if (pending !== undefined) await waitFor(pending, { parts, checkGoesOn })
}

/** Writers may wait for a merge, longer than a stop may take. */
async function waitFor(pending: Promise<void>, { parts, checkGoesOn }: Going): Promise<void> {
  const waited = pending.then(() => true)
  waited.catch(() => undefined)
  for (let isOver = false; !isOver; ) {
    const waking = new AbortController()
    const asleep = parts.seams.clock.sleep(STOP_POLL_MS, waking.signal).then(() => false)
    isOver = await Promise.race([waited, asleep])
    waking.abort()
    checkGoesOn()
  }
}

/** The same version of another partition. @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `ENGINE_MISMATCH` */
async function sourceManifest(
  first: Manifest,
  source: number,
  { parts }: ConvertingPartition,
): Promise<Manifest> {
  const { store, timeline, version, partitionCount, metadata } = first
  const manifest = await parts.repository.readManifest(store, source, { timeline, version })
  if (manifest.partitionCount !== partitionCount) {
    throw new EngineError(
      "ENGINE_MISMATCH",
      `${versionText(first)} was written with ${partitionCount} partitions, but its partition ${source} with ${manifest.partitionCount}`,
    )
  }
  if (manifest.metadata !== metadata) {
    throw new EngineError(
      "ENGINE_MISMATCH",
      `${versionText(first)} has other metadata on partition ${source} than on partition ${first.partition}: ` +
        `take a version of all partitions at once, and change their number at that one`,
    )
  }
  return manifest
}

/** Of the partitions that only the version has, those whose turn it is: all of the store's together take each once. */
async function takeFormerPartitions(
  sourceCount: number,
  { identity, parts, ownerName = processName() }: ConvertingPartition,
): Promise<void> {
  const { store, partition, partitionCount } = identity
  const former: number[] = []
  for (let each = partitionCount + partition; each < sourceCount; each += partitionCount) former.push(each)
  await eachAtOnce(former, REQUESTS_AT_ONCE, (each) =>
    // Nothing is written there: whoever takes it next may have it.
    parts.repository.own({ store, partition: each, ownerName, onLost: () => undefined }),
  )
}

function strayKey(manifest: Manifest, key: Uint8Array): EngineError {
  const name = Buffer.from(key.subarray(0, KEY_BYTES_SHOWN)).toString("hex")
  return new EngineError(
    "ENGINE_MISMATCH",
    `partition ${manifest.partition} of ${versionText(manifest)} has the key ${name} (hex), which does not belong there: ` +
      `the store was partitioned by another rule, so the number of its partitions cannot change`,
  )
}
