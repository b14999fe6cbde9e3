// A worker that counts the words of a growing file, each of them once, whatever is killed and when.
//
//     npx tsx client/examples/count-words.ts INPUT        the page beside this file goes through it
//
//   INPUT ──── read from the offset ───► counts ──── write back ───► Varve
//     ▲                                                                │ every half second, a version:
//     └────────────── go on from the offset ◄──── restore ◄────────────┘ the counts and the offset, together
//
// Why each word counts once:
//
//   1. A version holds the counts and, as its metadata, the offset in the input up to which they go. Whichever version
//      comes back, the two fit.
//   2. The worker remembers nothing. It starts from what `restore` answers, and after any error it starts again: the
//      daemon may have gone back further than to the worker's own last version.
//   3. The first version is made before the first write. No version means no counts.
//   4. `rollback: "fail"`: writes that were meant for a state that is gone are refused, also those of a worker that
//      was killed while they were on their way. They are never added to another state.
//
// There is no code for stopping: a stop is a crash, and the next start knows how to go on.

import { type FileHandle, open } from "node:fs/promises"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { connect, isVarveError, type State } from "@varve/client"

/** Bytes of input that are counted with one read and one write of the state; no line may be longer. */
const BATCH_BYTES = 64 * 1024
/** Pause when the input has nothing new, and before a new start. */
const PAUSE_MS = 100
/** Beside those that may be tried again: they say that nobody but the daemon knows where the state stands. */
const STARTS_AGAIN: readonly string[] = [
  "STATE_REPLACED",
  "DEADLINE_PASSED",
  "FRAME_REFUSED",
  "SESSION_EXPIRED",
  "VERSION_NOT_ASCENDING",
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    address: { type: "string", default: "127.0.0.1:7400" },
    store: { type: "string", default: "default" },
    /** The one partition that this worker has; without it, the whole store. */
    partition: { type: "string" },
    /** Milliseconds between two versions: what a crash costs at most, in work done again. */
    every: { type: "string", default: "500" },
  },
})
const path = positionals[0]
if (path === undefined)
  throw new Error("usage: count-words.ts INPUT [--store NAME] [--partition N] [--every MS]")
const everyMs = Number(values.every)
const inPartition = values.partition === undefined ? {} : { partition: Number(values.partition) }
const ofPartition = values.partition === undefined ? {} : { partitions: [Number(values.partition)] }

/** A version of the state, and how far in the input it is. */
interface Standing {
  readonly version: number
  readonly offset: number
}

/** Puts the newest version back; makes the first one, of the empty state, when there is none. */
async function recover(state: State): Promise<Standing> {
  try {
    const { version, timeline, metadata } = await state.restore(ofPartition)
    if (/^\d+$/.test(metadata.toString())) return { version, offset: Number(metadata) }
    const name = `${version} --timeline ${timeline} --store ${values.store}`
    throw new Error(
      `version ${version} is not of this worker; to go on without it: varve snapshots delete ${name}`,
    )
  } catch (error) {
    if (!isVarveError(error, "SNAPSHOT_NOT_FOUND")) throw error
    await makeFirst(state)
    return { version: 1, offset: 0 }
  }
}

/** Only of a store that never had a version: counts that came from nowhere would be counted once more. */
async function makeFirst(state: State): Promise<void> {
  try {
    await state.snapshot({ version: 1, metadata: "0", ...ofPartition })
  } catch (error) {
    if (!isVarveError(error, "VERSION_NOT_ASCENDING")) throw error
    throw new Error("the store had versions that it does not list: is its repository the right one?", {
      cause: error,
    })
  }
}

/** The whole lines from `offset` on, as many as fit a batch; empty when there is nothing new. */
async function read(input: FileHandle, offset: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(BATCH_BYTES)
  const { bytesRead } = await input.read(bytes, 0, BATCH_BYTES, offset)
  const lines = bytes.subarray(0, bytes.subarray(0, bytesRead).lastIndexOf("\n") + 1)
  if (lines.length === 0 && bytesRead === BATCH_BYTES)
    throw new Error(`the line at byte ${offset} is too long`)
  return lines
}

/** Adds the words of `lines` to the counts. */
async function apply(state: State, lines: Buffer): Promise<void> {
  const more = new Map<string, number>()
  const words = lines.toString().match(/[\p{L}\p{N}]+/gu) ?? []
  for (const word of words.map((each) => each.toLowerCase())) more.set(word, (more.get(word) ?? 0) + 1)
  const keys = [...more.keys()]
  const counts = await state.getMany(keys, inPartition)
  const records = keys.map((key, i) => ({ key, value: String(Number(counts[i] ?? 0) + more.get(key)!) }))
  await state.write(records, inPartition)
}

/** Counts on from `standing`, and makes versions, until a call fails. */
async function count(state: State, input: FileHandle, standing: Standing): Promise<never> {
  let { version, offset } = standing
  let stored = offset
  let dueAt = performance.now() + everyMs
  for (;;) {
    const lines = await read(input, offset)
    if (lines.length > 0) {
      await apply(state, lines)
      offset += lines.length
    } else {
      await state.get("the", inPartition) // fails when the state has gone back meanwhile
      await sleep(PAUSE_MS)
    }
    if (performance.now() < dueAt || offset === stored) continue
    await state.snapshot({ version: version + 1, metadata: String(offset), ...ofPartition })
    version += 1
    stored = offset
    dueAt = performance.now() + everyMs
    console.log(`version ${version} holds the input up to byte ${offset}`)
  }
}

const input = await open(path)
const state = connect(values.address, { store: values.store, rollback: "fail" })
for (;;) {
  try {
    const standing = await recover(state)
    console.log(`counting from byte ${standing.offset}, on version ${standing.version}`)
    await count(state, input, standing)
  } catch (error) {
    if (!isVarveError(error) || !(error.retryable || STARTS_AGAIN.includes(error.reason))) throw error
    console.log(`${error.reason}: starting again from what the daemon has`)
    await sleep(PAUSE_MS)
  }
}
