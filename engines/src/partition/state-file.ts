// The file `state` of a partition's directory: which state the partition is in, as far as it is on disk.
//
//   file := sealed JSON (base/sealed-json.ts)
//
// It is marked clean only by a clean stop; while the engine is open it is not, and then what it says of the present
// state is not believed after a crash: a version is restored. Under durability `log` it is believed always: it names
// the log too, and the position from which writes came after the state. What it says of replaced states holds always.
// Published by: write `state.new`, sync it, rename it to `state`, sync the directory.

import { join } from "node:path"
import { z } from "zod"
import { EngineError } from "../base/error.ts"
import { decodeSealedJson, encodeSealedJson } from "../base/sealed-json.ts"
import type { FileSystem } from "../io/file-system.ts"
import { savedSessions } from "../snapshots/saved-sessions.ts"

/**
 * 2: there is a log. 3: runs are still on their way. 4: there are sessions, or a log whose entries may name frames of
 * sessions. A file is written in the oldest format that can say it.
 */
const STATE_FORMAT = 4
/** A state lists runs, not records; this is far above what any has. */
const STATE_BYTES_MAX = 64 * 1024 * 1024

const count = z.int().min(0)
const versionName = z.object({ timeline: z.string(), version: z.int().min(1) })
const runFigures = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  level: count,
  run: count,
  version: count,
  bytes: count,
  recordsBytes: count,
  recordCount: count,
  tombstoneCount: count,
})
const storedRun = runFigures.extend({
  recipe: z.object({ pack: z.string(), offset: count, bytes: count, hash: z.string() }),
})

const description = z.object({
  /** The line of versions that the state descends from; its last entry is the newest version. */
  line: z.array(versionName),
  /** Where the next version goes. */
  timeline: z.string(),
  /** Of the newest version; base64. */
  metadata: z.string(),
  hashSeed: count,
  /** Newest first. */
  runs: z.array(runFigures),
  /** By the identity of a run: the runs that the repository holds and that have the same records. */
  stored: z.record(z.string(), z.array(storedRun)),
  /** Identities of runs that may not be here yet: `stored` says where they come from. */
  arriving: z.array(runFigures.shape.id).optional(),
  engineState: z.unknown(),
  /** Which frames of which sessions it holds. */
  sessions: savedSessions.optional(),
  /** What was written since the newest version. Figures only: software that does not know them goes without. */
  changes: z.object({ sealedMs: z.number().min(0), records: count, bytes: count }).optional(),
})

/** Where the writes are that came after `present`. */
const logMark = z.object({
  /** Of the log in the directory `log-{id}`. */
  id: z.string().regex(/^[0-9a-f]{32}$/),
  /** Position of the first entry that `present` does not hold. */
  from: count,
  /** Where the log ends, after a clean stop. */
  end: count.optional(),
})

const stateFile = z.object({
  format: z.literal([1, 2, 3, STATE_FORMAT]),
  engine: z.string(),
  store: z.string(),
  partition: count,
  /** Under which the partition was owned; none in files of software that knew no owners. */
  epoch: count.optional(),
  isClean: z.boolean(),
  lineage: z.string(),
  /** With a log it is believed always, else only when the file is clean. */
  present: description,
  log: logMark.optional(),
  replaced: z.array(z.object({ handle: z.string(), replacedMs: z.number(), state: description })),
})

/** A state as far as it is on disk. */
export type StateDescription = z.infer<typeof description>
export type LogMark = z.infer<typeof logMark>
export type StateFile = z.infer<typeof stateFile>
export type ReplacedState = StateFile["replaced"][number]

/** The state file of `directory`; undefined when there is none. @throws (rejects) `DATA_LOSS`, `FORMAT_NEWER` */
export async function readStateFile(
  fileSystem: FileSystem,
  directory: string,
): Promise<StateFile | undefined> {
  const path = join(directory, "state")
  const file = await fileSystem.open(path, "read")
  if (file === undefined) return undefined
  try {
    const bytes = await file.size()
    if (bytes > STATE_BYTES_MAX) throw new EngineError("DATA_LOSS", `${path}: ${bytes} bytes are too many`)
    const content = new Uint8Array(bytes)
    await file.read(content, 0)
    return decodeSealedJson(content, { name: path, format: STATE_FORMAT, schema: stateFile })
  } finally {
    await file.close()
  }
}

/** Puts `state` in the place of the state file; durable when it resolves. */
export async function publishStateFile(
  fileSystem: FileSystem,
  directory: string,
  state: Omit<StateFile, "format">,
): Promise<void> {
  const path = join(directory, "state")
  const temporary = `${path}.new`
  await fileSystem.remove(temporary)
  const file = await fileSystem.open(temporary, "create")
  try {
    await file.write(encodeSealedJson({ format: formatOf(state), ...state }), 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await fileSystem.rename(temporary, path)
  await fileSystem.syncDirectory(directory)
}

function formatOf({ present, replaced, log }: Omit<StateFile, "format">): StateFile["format"] {
  const states = [present, ...replaced.map(({ state }) => state)]
  if (log !== undefined || states.some(({ sessions }) => sessions !== undefined)) return STATE_FORMAT
  return states.some(({ arriving }) => arriving !== undefined) ? 3 : 1
}
