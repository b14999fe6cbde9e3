// `npm run demo`: four workers count the words of real texts and keep the counts in Varve; a worker is killed,
// then the daemon; and in the end every count is right. Ends with code 1 when a single count differs.
//
//   texts ─► worker 0 ─► partition 0 ┐
//   texts ─► worker 1 ─► partition 1 ├─ daemon ─► versions in a repository
//   texts ─► worker 2 ─► partition 2 │  every half second, each with its position in the texts
//   texts ─► worker 3 ─► partition 3 ┘

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "@varve/client"
import { startDaemon, type TestDaemon } from "../server/daemon.ts"
import { countWords, findTexts, shareOf, type Text } from "./texts.ts"
import { WorkerProcess } from "./worker-process.ts"

const WORKERS = 4
const STORE = "words"
/** How long the input lasts when nothing goes wrong. */
const SECONDS = 8
const STEP_MS_MAX = 40_000

const directory = mkdtempSync(join(tmpdir(), "varve-demo-"))
const workers: WorkerProcess[] = []
let daemon: TestDaemon | undefined

function say(line: string): void {
  console.log(line)
}

/** Resolves when every worker's share is counted as far as `fraction`. */
async function untilCounted(fraction: number, words: readonly number[]): Promise<void> {
  const end = performance.now() + STEP_MS_MAX
  while (!workers.every((worker, i) => worker.words >= fraction * words[i]!)) {
    const failure = workers.find((worker) => worker.failure !== undefined)?.failure
    if (failure !== undefined) throw new Error(failure)
    if (performance.now() > end) throw new Error("the workers do not get on")
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Compares the counts in Varve with `expected`, partition by partition; returns what differs. */
async function compare(address: string, expected: readonly Map<string, number>[]): Promise<string[]> {
  const state = connect(address, { store: STORE })
  const differences: string[] = []
  try {
    for (const [partition, counts] of expected.entries()) {
      const found = new Map<string, number>()
      for await (const { key, value } of state.scan({ partition }))
        found.set(key.toString(), Number(value.toString()))
      for (const word of new Set([...counts.keys(), ...found.keys()])) {
        const [right, stored] = [counts.get(word) ?? 0, found.get(word) ?? 0]
        if (right !== stored)
          differences.push(`partition ${partition}: ${word} is ${stored}, should be ${right}`)
      }
    }
  } finally {
    await state.close()
  }
  return differences
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0)
}

async function run(texts: readonly Text[]): Promise<string[]> {
  const expected = Array.from({ length: WORKERS }, (_, i) => countWords(shareOf(texts, i, WORKERS)))
  const words = expected.map(total)
  const bytes = texts.reduce((sum, text) => sum + text.bytes, 0)
  const allWords = words.reduce((sum, count) => sum + count, 0)
  say(
    `input     ${texts.length} readmes and licences of this machine, ${(bytes / 1e6).toFixed(1)} MB, ${allWords} words`,
  )

  const config = join(directory, "varve.yaml")
  const store = { engine: "hybrid-log", partitions: WORKERS, partitioning: "explicit" }
  writeFileSync(config, JSON.stringify({ stores: { [STORE]: store } })) // JSON is YAML
  const flags = ["--config", config]
  daemon = await startDaemon({ directory, flags })
  const address = daemon.grpc
  say(
    `daemon    process ${daemon.pid} serves store "${STORE}" at ${address}: hybrid-log, ${WORKERS} partitions`,
  )
  for (let partition = 0; partition < WORKERS; partition++) {
    workers.push(
      new WorkerProcess({ address, store: STORE, partition, workers: WORKERS, seconds: SECONDS }, say),
    )
  }
  await untilCounted(0.3, words)

  const victim = workers[2]!
  say(`kill -9   worker 2, after ${victim.words} words; its last version is ${victim.version}`)
  await victim.kill()
  victim.start()
  await untilCounted(0.6, words)

  say(
    `kill -9   the daemon, after ${workers.map((worker) => worker.words).join(", ")} words; no worker is told`,
  )
  await daemon.kill("SIGKILL")
  daemon = await daemon.restart({ flags: [...flags, "--grpc", address] })
  say(`daemon    process ${daemon.pid} is up again, from what lies on disk`)
  await untilCounted(1, words)
  while (!workers.every((worker) => worker.counted)) await new Promise((resolve) => setTimeout(resolve, 20))

  say("compare   every count with a plain count in one process")
  const differences = await compare(address, expected)
  const different = new Set(expected.flatMap((counts) => [...counts.keys()])).size
  const again = workers.reduce((sum, worker) => sum + worker.wordsCountedAgain, 0)
  if (differences.length === 0) {
    say(`result    equal: ${different} different words, ${allWords} in all; none lost, none counted twice`)
    say(`          (${again} words were counted a second time, on states that had gone back before them)`)
  }
  return differences
}

async function end(): Promise<void> {
  for (const worker of workers) await worker.kill()
  await daemon?.stop()
  rmSync(directory, { recursive: true, force: true })
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    void end().then(() => process.exit(1))
  })
}

try {
  const differences = await run(findTexts())
  if (differences.length > 0) {
    console.error(
      `WRONG     ${differences.length} counts differ, for example:\n  ${differences.slice(0, 10).join("\n  ")}`,
    )
    process.exitCode = 1
  }
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await end()
}
