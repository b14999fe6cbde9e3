// What a partition's directory holds, brought up: the state that is served, the states that were replaced, and under
// durability `log` the log behind the state.
//
//   no state file                  new         empty
//   clean                          continued   as it was
//   not clean, names a log         replayed    the last checkpoint, and every write since that the log holds
//   not clean, names none          crashed     empty, until the newest version on its line is put back
//   any of these, and another      overtaken   as above, until the newest version is put back: the next owner went on
//   owner wrote versions since                 from a version, not from what is here, and perhaps along another line
//
// The partition is taken from its last owner when all that can fail here has not failed.
//
// The setting may change from one start to the next: a log that the state file names is replayed whatever the setting
// is, and given up afterwards when the setting is `snapshot`; with `log` a fresh one begins.

import { EngineError, isEngineError } from "../base/error.ts"
import type { EngineDefinition } from "../core.ts"
import type { Recovery } from "../engine.ts"
import { processName } from "../io/process-identity.ts"
import type { Log } from "../log/log.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { VersionName } from "../snapshots/manifest.ts"
import { newTimelineId, openLine } from "../snapshots/timeline.ts"
import {
  createDurableLog,
  type Durability,
  type DurableLogSettings,
  logsWithEntries,
  openDurableLog,
  removeOtherLogs,
  replay,
} from "./durable-log.ts"
import { LiveState, type PartitionIdentity, type PartitionParts } from "./live-state.ts"
import { openDescribedRuns, type RestoreMode } from "./open-runs.ts"
import { type OwnerSettings, PartitionOwner } from "./partition-owner.ts"
import type { Partitioning } from "./partitioning.ts"
import { type ReplacedStateRetention, ReplacedStates } from "./replaced-states.ts"
import { describedSource, emptySource, type RestoreSource } from "./restore-source.ts"
import { withSealingTime } from "./sealing-time.ts"
import { type LogMark, readStateFile, type StateDescription, type StateFile } from "./state-file.ts"

export interface PartitionSetting<Settings> {
  readonly identity: PartitionIdentity
  readonly definition: EngineDefinition<Settings>
  readonly settings: Settings
  readonly durability: Durability
  readonly log: DurableLogSettings
  readonly owner: OwnerSettings
  /** How restores that name no mode go about it. */
  readonly restoreMode: RestoreMode
  /** Undefined: the store's partitions stay as many as they are. */
  readonly partitioning: Partitioning | undefined
  readonly replacedStateRetention: ReplacedStateRetention
}

export interface OpenedPartition {
  readonly state: LiveState
  readonly owner: PartitionOwner
  readonly replaced: ReplacedStates
  readonly recovery: Recovery
  readonly lineage: string
  /** What the state file is to say now. */
  readonly present: StateDescription
  readonly mark: LogMark | undefined
  /**
   * Held for the caller until the state file on the disk is replaced: what it names must be there for the next start,
   * and merges may already have put other runs in their place.
   */
  readonly held: readonly OpenRun[]
  /** The log of durability `log`, and the checkpoint before it; its runs are held for the caller. */
  readonly durable:
    | {
        readonly log: Log
        readonly id: string
        readonly from: number
        readonly description: StateDescription
        readonly runs: readonly OpenRun[]
        /** Bytes of the log that were applied behind the checkpoint. */
        readonly replayedBytes: number
      }
    | undefined
  /** The line to restore from, when the state does not stand on it. */
  readonly line: readonly VersionName[] | undefined
  /** Whose state it is, as the state file says, when another owner wrote versions since. */
  readonly overtakenEpoch: number | undefined
}

/**
 * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `ENGINE_MISMATCH`, `STORAGE_FAILED`, `REPOSITORY_FAILED`,
 * and `OWNER_FENCED` when another owner takes the partition at the same time
 */
export async function openPartition<Settings>(
  setting: PartitionSetting<Settings>,
  parts: PartitionParts,
): Promise<OpenedPartition> {
  const { directory, seams } = parts
  const file = await readStateFile(seams.fileSystem, directory.directory)
  await checkStateFile(file, setting.definition.name, parts)
  const replaced = new ReplacedStates(seams.clock, setting.replacedStateRetention)
  await replaced.open(
    file?.replaced ?? [],
    (state) => openDescribedRuns(parts, state),
    (handle, error) =>
      parts.warn(`the replaced state ${handle} is not whole any more and was given up`, error),
  )
  const recovery = recoveryOf(file)
  const isBelieved = recovery === "continued" || recovery === "replayed"
  /** What was opened, to be let go when a later step fails. */
  const undo: (() => Promise<void> | void)[] = [() => replaced.close(), () => directory.keepFiles()]
  try {
    await removeOtherLogs(parts, file?.log?.id)
    const mark = isBelieved ? file?.log : undefined
    const found = mark === undefined ? undefined : await openDurableLog(parts, mark, setting.log)
    if (found !== undefined) undo.push(() => found.close())
    const source = isBelieved
      ? await describedSource(parts, await believed(file!, recovery, setting.identity, parts))
      : emptySource(newTimelineId(seams.clock, seams.random), randomSeed(seams.random.bytes(4)))
    const held = [...source.runs]
    for (const run of held) run.retain()
    undo.push(() => {
      for (const run of held) run.release()
    })
    const state = await LiveState.open(parts, setting, source.description, source.runs)
    undo.push(() => state.close())
    const world = { clock: seams.clock, valueBytesMax: parts.valueBytesMax }
    const replayedBytes =
      found === undefined || mark === undefined ? 0 : await replay(found, mark.from, state, world)
    const ownership = await parts.repository.own({
      store: setting.identity.store,
      partition: setting.identity.partition,
      ownerName: setting.owner.name ?? processName(),
      onLost: (error) => parts.fence(error),
    })
    const stateEpoch = file?.epoch ?? 0
    const isOvertaken = file !== undefined && ownership.inheritedEpoch > stateEpoch
    const lost = recovery === "crashed" ? file?.present : undefined
    const strayLine = isOvertaken ? openLine([], newTimelineId(seams.clock, seams.random)) : undefined
    const opened = {
      state,
      owner: new PartitionOwner(ownership, parts),
      replaced,
      recovery: isOvertaken && isBelieved ? ("overtaken" as const) : recovery,
      lineage: file !== undefined && isBelieved ? file.lineage : newIdentity(parts),
      line: strayLine ?? (lost === undefined ? undefined : openLine(lost.line, lost.timeline)),
      overtakenEpoch: isOvertaken ? stateEpoch : undefined,
    }
    if (setting.durability === "log") {
      const id = found === undefined ? newIdentity(parts) : mark!.id
      const log = found ?? (await createDurableLog(parts, id, setting.log))
      const from = mark?.from ?? 0
      const durable = { log, id, from, description: source.description, runs: held, replayedBytes }
      return {
        ...opened,
        present: presentOf(source, lost),
        mark: isBelieved ? { id, from } : undefined,
        held: [],
        durable,
      }
    }
    await found?.close()
    return { ...opened, present: presentOf(source, lost), mark: undefined, held, durable: undefined }
  } catch (error) {
    // The holds go after the files are kept.
    directory.keepFiles()
    for (const step of undo.reverse()) await step()
    throw error
  }
}

/** 128 random bits as 32 hex digits. */
export function newIdentity({ seams }: PartitionParts): string {
  return Buffer.from(seams.random.bytes(16)).toString("hex")
}

export function randomSeed(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
}

function recoveryOf(file: StateFile | undefined): Recovery {
  if (file === undefined) return "new"
  if (file.isClean) return "continued"
  return file.log === undefined ? "crashed" : "replayed"
}

async function checkStateFile(
  file: StateFile | undefined,
  engine: string,
  parts: PartitionParts,
): Promise<void> {
  const { directory } = parts
  if (file !== undefined && file.engine !== engine) {
    throw new EngineError(
      "ENGINE_MISMATCH",
      `${directory.directory} holds a state of the engine ${file.engine}, not of ${engine}`,
    )
  }
  // It is published before the first run and the first entry, and replaced by renaming: no crash can have lost it.
  if (file === undefined && directory.hasFiles) {
    throw new EngineError(
      "DATA_LOSS",
      `${directory.directory} has runs but no file "state": move the directory away to restore the newest version`,
    )
  }
  const [log] = file === undefined ? await logsWithEntries(parts) : []
  if (log !== undefined) {
    // Where it goes on from is not known: restores may have replaced what it began with.
    throw new EngineError(
      "DATA_LOSS",
      `${directory.directory} has no file "state", but ${log} holds writes: move the directory away to restore the newest version`,
    )
  }
}

/** Versions that cannot be read: damaged, of newer software, removed meanwhile. */
const PASSED_OVER: readonly string[] = ["DATA_LOSS", "FORMAT_NEWER", "SNAPSHOT_NOT_FOUND"]

/** What is known of a state whose runs are all here, or in the log. */
async function believed(
  file: StateFile,
  recovery: Recovery,
  identity: PartitionIdentity,
  parts: PartitionParts,
): Promise<StateDescription> {
  return withSealingTime(await caughtUp(file, recovery, identity, parts), identity, parts)
}

/**
 * Versions that were committed after the state file was written stand on its timeline, and nowhere else. Those of a later
 * owner may stand there too; they are not versions of this state.
 */
async function caughtUp(
  { present, epoch: stateEpoch = 0 }: StateFile,
  recovery: Recovery,
  { store, partition }: PartitionIdentity,
  { repository }: PartitionParts,
): Promise<StateDescription> {
  if (recovery !== "replayed") return present
  const known = present.line.at(-1)?.version ?? 0
  const later = (await repository.listNames(store, partition))
    .filter(({ timeline, version }) => timeline === present.timeline && version > known)
    .filter(({ epoch }) => epoch <= stateEpoch)
    .sort((a, b) => b.version - a.version)
  for (const name of later) {
    try {
      const { line, metadata, createdMs } = await repository.readManifest(store, partition, name)
      // The version may have been sealed before the checkpoint: how much of it was written since is not known.
      const changes = { records: 0, bytes: 0, ...present.changes, sealedMs: createdMs }
      return { ...present, line: [...line], metadata, changes }
    } catch (error) {
      if (!isEngineError(error) || !PASSED_OVER.includes(error.reason)) throw error
    }
  }
  return present
}

/** Until a restore puts another state in its place, the line of the lost one is what a second crash asks for. */
function presentOf({ description }: RestoreSource, lost: StateDescription | undefined): StateDescription {
  return lost === undefined ? description : { ...description, line: lost.line, timeline: lost.timeline }
}
