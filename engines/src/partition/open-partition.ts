// What a partition's directory holds, brought up: the state that is served, the states that were replaced, and under
// durability `log` the log behind the state.
//
//   no state file                  new         empty
//   clean                          continued   as it was
//   not clean, names a log         replayed    the last checkpoint, and every write since that the log holds
//   not clean, names none          crashed     empty, until the newest version on its line is put back
//
// The setting may change from one start to the next: a log that the state file names is replayed whatever the setting
// is, and given up afterwards when the setting is `snapshot`; with `log` a fresh one begins.

import { EngineError } from "../base/error.ts"
import type { EngineDefinition } from "../core.ts"
import type { Recovery } from "../engine.ts"
import type { Log } from "../log/log.ts"
import type { OpenRun } from "../runs/run-set.ts"
import { newestOnTimeline, newTimelineId } from "../snapshots/timeline.ts"
import {
  createDurableLog,
  type Durability,
  type DurableLogSettings,
  openDurableLog,
  removeOtherLogs,
  replay,
} from "./durable-log.ts"
import { LiveState, type PartitionIdentity, type PartitionParts } from "./live-state.ts"
import { ReplacedStates } from "./replaced-states.ts"
import { describedSource, emptySource, type RestoreSource } from "./restore-source.ts"
import { type LogMark, readStateFile, type StateDescription, type StateFile } from "./state-file.ts"

export interface PartitionSetting<Settings> {
  readonly identity: PartitionIdentity
  readonly definition: EngineDefinition<Settings>
  readonly settings: Settings
  readonly durability: Durability
  readonly log: DurableLogSettings
}

export interface OpenedPartition {
  readonly state: LiveState
  readonly replaced: ReplacedStates
  readonly recovery: Recovery
  readonly lineage: string
  /** What the state file is to say now. */
  readonly present: StateDescription
  readonly mark: LogMark | undefined
  /** The log of durability `log`, and the checkpoint before it; its runs are held for the caller. */
  readonly durable:
    | {
        readonly log: Log
        readonly id: string
        readonly from: number
        readonly description: StateDescription
        readonly runs: readonly OpenRun[]
      }
    | undefined
  /** After a crash without a log: what the state file said of the lost state. */
  readonly lost: StateDescription | undefined
}

/** @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `ENGINE_MISMATCH`, `STORAGE_FAILED`, `REPOSITORY_FAILED` */
export async function openPartition<Settings>(
  setting: PartitionSetting<Settings>,
  parts: PartitionParts,
): Promise<OpenedPartition> {
  const { directory, seams } = parts
  const file = await readStateFile(seams.fileSystem, directory.directory)
  checkStateFile(file, setting.definition.name, parts)
  const replaced = new ReplacedStates(seams.clock)
  await replaced.open(file?.replaced ?? [], directory, (handle, error) =>
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
      ? await describedSource(directory, await caughtUp(file!.present, recovery, setting.identity, parts))
      : emptySource(newTimelineId(seams.clock, seams.random), randomSeed(seams.random.bytes(4)))
    const held = [...source.runs]
    for (const run of held) run.retain()
    undo.push(() => {
      for (const run of held) run.release()
    })
    const state = await LiveState.open(parts, setting, source.description, source.runs)
    undo.push(() => state.close())
    if (found !== undefined && mark !== undefined) {
      await replay(found, mark.from, state.core, { clock: seams.clock, valueBytesMax: parts.valueBytesMax })
    }
    const opened = {
      state,
      replaced,
      recovery,
      lineage: file !== undefined && isBelieved ? file.lineage : newIdentity(parts),
      lost: recovery === "crashed" ? file?.present : undefined,
    }
    if (setting.durability === "log") {
      const id = found === undefined ? newIdentity(parts) : mark!.id
      const log = found ?? (await createDurableLog(parts, id, setting.log))
      const from = mark?.from ?? 0
      const durable = { log, id, from, description: source.description, runs: held }
      return {
        ...opened,
        present: presentOf(source, opened.lost),
        mark: isBelieved ? { id, from } : undefined,
        durable,
      }
    }
    for (const run of held) run.release()
    await found?.close()
    return { ...opened, present: presentOf(source, opened.lost), mark: undefined, durable: undefined }
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

function checkStateFile(file: StateFile | undefined, engine: string, { directory }: PartitionParts): void {
  if (file !== undefined && file.engine !== engine) {
    throw new EngineError(
      "ENGINE_MISMATCH",
      `${directory.directory} holds a state of the engine ${file.engine}, not of ${engine}`,
    )
  }
  // It is published before the first run and replaced by renaming: it cannot have got lost in a crash.
  if (file === undefined && directory.hasFiles) {
    throw new EngineError(
      "DATA_LOSS",
      `${directory.directory} has runs but no file "state": move the directory away to restore the newest version`,
    )
  }
}

/** Versions that were committed after the state file was written stand on its timeline, and nowhere else. */
async function caughtUp(
  present: StateDescription,
  recovery: Recovery,
  { store, partition }: PartitionIdentity,
  { repository }: PartitionParts,
): Promise<StateDescription> {
  if (recovery !== "replayed") return present
  const newest = newestOnTimeline(await repository.listVersions(store, partition), present.timeline)
  if (newest === undefined || newest.version <= (present.line.at(-1)?.version ?? 0)) return present
  const { line, metadata } = await repository.readManifest(store, partition, newest)
  return { ...present, line: [...line], metadata }
}

/** Until a restore puts another state in its place, the line of the lost one is what a second crash asks for. */
function presentOf({ description }: RestoreSource, lost: StateDescription | undefined): StateDescription {
  return lost === undefined ? description : { ...description, line: lost.line, timeline: lost.timeline }
}
