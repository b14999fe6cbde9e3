// The log of a partition under durability `log`: every accepted batch of records, in order, is one entry. It lies in
// a directory of its own beside the runs, `log-{id}`; the state file says which one counts and from where.
//
// log-entry.ts says what an entry holds.

import { join } from "node:path"
import { checkBatch } from "../base/batch.ts"
import { isEngineError } from "../base/error.ts"
import { decodeRecord, RecordCursor } from "../base/record.ts"
import type { EngineCore } from "../core.ts"
import type { Clock } from "../io/clock.ts"
import { Log, type LogOptions } from "../log/log.ts"
import { holdsEntries } from "../log/open-segments.ts"
import type { LiveState, PartitionParts } from "./live-state.ts"
import { decodeLogEntry } from "./log-entry.ts"
import { outcomes } from "./session-table.ts"
import type { LogMark } from "./state-file.ts"

/** How long an acknowledged write lasts. */
export const durabilities = ["snapshot", "log"] as const
/** `snapshot` or `log`: what that promises stands with `OpenEngineOptions`. */
export type Durability = (typeof durabilities)[number]

/** The log of durability `log`. */
export interface DurableLogSettings {
  /** Length of a segment in bytes; 2 KiB to 1 GiB, 16 MiB by default. */
  readonly segmentBytes?: number
  /** A checkpoint is made when the log has grown by so many bytes since the last one; 64 MiB by default. */
  readonly checkpointBytes?: number
}

const DIRECTORY = /^log-([0-9a-f]{32})$/
/** Between two attempts of a replay to write on. */
const REPLAY_RETRY_MS = 10
const REPLAY_ATTEMPTS_MAX = 6000

/** A fresh log in the partition's directory, durable but not named by the state file yet. */
export function createDurableLog(
  parts: PartitionParts,
  id: string,
  settings: DurableLogSettings,
): Promise<Log> {
  return Log.create(logOptions(parts, id, settings))
}

/**
 * The log that the state file names.
 * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `STORAGE_FAILED`
 */
export function openDurableLog(
  parts: PartitionParts,
  mark: LogMark,
  settings: DurableLogSettings,
): Promise<Log> {
  return Log.open(logOptions(parts, mark.id, settings), mark.from, mark.end)
}

/** Paths of the logs in the partition's directory that hold entries. */
export async function logsWithEntries(parts: PartitionParts): Promise<string[]> {
  const { directory, fileSystem } = parts.directory
  const found: string[] = []
  for (const name of await fileSystem.list(directory)) {
    const id = DIRECTORY.exec(name)?.[1]
    if (id === undefined) continue
    const log = { fileSystem, clock: parts.seams.clock, directory: join(directory, name), id }
    if (await holdsEntries(log)) found.push(log.directory)
  }
  return found
}

/** Removes logs that the state file does not name: a crash came between. */
export async function removeOtherLogs(parts: PartitionParts, id: string | undefined): Promise<void> {
  const { directory, fileSystem } = parts.directory
  const others = (await fileSystem.list(directory)).filter((name) => {
    const found = DIRECTORY.exec(name)
    return found !== null && found[1] !== id
  })
  if (others.length === 0) return
  // After a kill the state file may be here and not durable; the one before it may name one of these.
  await fileSystem.syncDirectory(directory)
  for (const name of others) await fileSystem.removeDirectory(join(directory, name))
}

/**
 * Applies the entries from `from` on to the state, waiting where a writer would. Resolves their bytes.
 * @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FULL`; `BATCH_TOO_LARGE` when settings have been made smaller
 * than a record
 */
export async function replay(
  log: Log,
  from: number,
  { core, sessions }: Pick<LiveState, "core" | "sessions">,
  world: { readonly clock: Clock; readonly valueBytesMax: number },
): Promise<number> {
  let replayedBytes = 0
  for await (const { bytes } of log.read(from)) {
    const { frame, batch } = decodeLogEntry(bytes)
    checkBatch(batch, world.valueBytesMax)
    replayedBytes += bytes.length
    if (frame !== undefined) sessions.note(frame, outcomes.applied)
    try {
      await apply(core, batch, world.clock)
    } catch (error) {
      if (!isEngineError(error, "BATCH_TOO_LARGE")) throw error
      // Memory is smaller than when the batch was taken; nobody sees the state before it is whole.
      for (const record of recordsOf(batch)) await apply(core, record, world.clock)
    }
  }
  return replayedBytes
}

async function apply(core: EngineCore, batch: Uint8Array, clock: Clock): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      core.admit(batch.length)
      break
    } catch (error) {
      if (!isEngineError(error, "WRITES_STALLED") || attempt === REPLAY_ATTEMPTS_MAX) throw error
      await clock.sleep(REPLAY_RETRY_MS)
    }
  }
  const pending = core.write(batch)
  if (pending !== undefined) await pending
}

function* recordsOf(batch: Uint8Array): Generator<Uint8Array> {
  const cursor = new RecordCursor()
  for (let at = 0; at < batch.length; at = cursor.end) {
    decodeRecord(batch, at, batch.length, cursor)
    yield batch.subarray(cursor.start, cursor.end)
  }
}

function logOptions(parts: PartitionParts, id: string, { segmentBytes }: DurableLogSettings): LogOptions {
  const { fileSystem, clock } = parts.seams
  return {
    fileSystem,
    clock,
    directory: join(parts.directory.directory, `log-${id}`),
    id,
    ...(segmentBytes === undefined ? {} : { segmentBytes }),
    onFailure: (error) => parts.poison(error),
    onWarning: (error) => parts.warn("a segment of the log could not be removed", error),
  }
}
