// A worker of the demo: counts the words of its share of the texts, and keeps the counts in Varve.
//
// Why every word is counted once, whatever is killed:
//
//   1. The state and the position in the input are committed together: the position is the metadata of the
//      version. Whichever version comes back, state and position fit each other.
//   2. A worker never goes on from a state that it has only assumed. When it starts, and after any error, it puts
//      back the newest version of its partition and goes on from the position that came with it. It does not
//      remember how far it was: the daemon may have gone back further than the worker's own last version.
//   3. Nothing is written before a first version (of the empty state, at the beginning of the input) exists. So
//      "no version" always means "no counts".
//   4. Writes carry the lineage of the state that they were made for (`rollback: "fail"`). What a killed worker
//      had still on its way, or what was meant for a state that is gone, is refused, not added to another state.

import { setTimeout as sleep } from "node:timers/promises"
import { connect, type State, VarveError } from "@varve/client"
import type { Position, WorkerMessage, WorkerTask } from "./messages.ts"
import { findTexts, linesOf, shareOf, wordsOf } from "./texts.ts"

const SNAPSHOT_INTERVAL_MS = 500
/** Lines that are counted at once: one read and one write. */
const LINES_AT_ONCE = 100
const RETRY_PAUSE_MS = 100
const WATCH_PAUSE_MS = 200

const task = JSON.parse(process.argv[2]!) as WorkerTask
const { partition } = task
const share = shareOf(findTexts(), partition, task.workers)
/** Milliseconds for each byte of input: what makes the share last as long as it should. */
const pace = (task.seconds * 1000) / share.reduce((bytes, text) => bytes + text.bytes, 0)

/** A state that was put back, and the position that came with it. */
interface Standing {
  readonly version: number
  readonly position: Position
}

function tell(message: WorkerMessage): void {
  process.send?.(message)
}

/** Puts the newest version of the partition back; makes the first one when there is none. */
async function stand(state: State): Promise<Standing> {
  try {
    const { version, metadata } = await state.restore({ partitions: [partition] })
    return { version: Number(version), position: JSON.parse(metadata.toString()) as Position }
  } catch (error) {
    if (!(error instanceof VarveError) || error.reason !== "SNAPSHOT_NOT_FOUND") throw error
  }
  for await (const { key } of state.scan({ partition })) {
    throw new Error(`partition ${partition} has no version, and yet a count of ${key}`)
  }
  const position = { text: 0, line: 0, words: 0 }
  await snapshot(state, 1, position)
  return { version: 0, position }
}

async function snapshot(state: State, version: number, position: Position): Promise<void> {
  await state.snapshot({ version, metadata: JSON.stringify(position), partitions: [partition] })
}

/** Counts from `standing` to the end of the share, with a version every half second and one at the end. */
async function count(state: State, standing: Standing): Promise<Standing> {
  let { position } = standing
  // Version 0 stands for "none was there": the first one, of the empty state, has been made by `stand`.
  let version = Math.max(standing.version, 1)
  let snapshotAt = performance.now() + SNAPSHOT_INTERVAL_MS
  while (position.text < share.length) {
    const text = share[position.text]!
    const lines = linesOf(text)
    while (position.line < lines.length) {
      const dueAt = performance.now() + pace * text.bytes * Math.min(1, LINES_AT_ONCE / lines.length)
      const words = lines.slice(position.line, position.line + LINES_AT_ONCE).flatMap(wordsOf)
      await add(state, words)
      const line = position.line + LINES_AT_ONCE
      position = { text: position.text, line, words: position.words + words.length }
      if (performance.now() >= snapshotAt) {
        await snapshot(state, ++version, position)
        snapshotAt = performance.now() + SNAPSHOT_INTERVAL_MS
      }
      tell({ kind: "goes on", version, position })
      await sleep(Math.max(0, dueAt - performance.now()))
    }
    position = { text: position.text + 1, line: 0, words: position.words }
  }
  await snapshot(state, ++version, position)
  return { version, position }
}

/** Adds one to the count of each of `words`: one read and one write, the write all or none. */
async function add(state: State, words: readonly string[]): Promise<void> {
  if (words.length === 0) return
  const more = new Map<string, number>()
  for (const word of words) more.set(word, (more.get(word) ?? 0) + 1)
  const keys = [...more.keys()]
  const before = await state.getMany(keys, { partition })
  const records = keys.map((key, i) => ({ key, value: String(Number(before[i] ?? 0) + more.get(key)!) }))
  await state.write(records, { partition })
}

/** Returns when the state that was counted is no longer the one that is served: a read says so. */
async function watch(state: State): Promise<never> {
  for (;;) {
    await sleep(WATCH_PAUSE_MS)
    await state.get("the", { partition })
  }
}

async function work(): Promise<never> {
  const state = connect(task.address, { store: task.store, rollback: "fail" })
  let because = "starts"
  let told = false
  for (;;) {
    try {
      const standing = await stand(state)
      tell({ kind: "begins", ...standing, because })
      told = true
      const counted = await count(state, standing)
      tell({ kind: "counted", ...counted })
      await watch(state)
    } catch (error) {
      // Whatever it was: nothing is known about the state now but what the daemon will say.
      if (!(error instanceof VarveError)) throw error
      if (told) because = error.reason
      told = false
      await sleep(RETRY_PAUSE_MS)
    }
  }
}

// The demo that started this worker is gone: nobody is left to count for.
process.on("disconnect", () => process.exit())
await work()
