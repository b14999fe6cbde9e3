// `npm run demo`: four workers (client/examples/count-words.ts) count the words of real texts and keep the counts in
// Varve; a worker is killed, then the daemon; and in the end every count is right. Ends with code 1 when a single one
// differs.
//
//   texts ─► worker 0 ─► partition 0 ┐
//   texts ─► worker 1 ─► partition 1 ├─ daemon ─► versions in a repository
//   texts ─► worker 2 ─► partition 2 │  every half second, each with its offset in the texts
//   texts ─► worker 3 ─► partition 3 ┘

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { startDaemon, type TestDaemon } from "../server/daemon.ts"
import { wrongCounts } from "./counts.ts"
import { feed } from "./feed.ts"
import { countWords, findTexts } from "./texts.ts"
import { WorkerProcess } from "./worker-process.ts"

const WORKERS = 4
const STORE = "words"
/** How long the input takes to come. */
const SECONDS = 8
const STEP_MS_MAX = 40_000

const directory = mkdtempSync(join(tmpdir(), "varve-demo-"))
const workers: WorkerProcess[] = []
const ending = new AbortController()
let feeding: Promise<void> | undefined
let daemon: TestDaemon | undefined

function say(line: string): void {
  console.log(line)
}

/** Resolves when versions hold `fraction` of each worker's share. */
async function untilStored(fraction: number, shares: readonly string[]): Promise<void> {
  const bytes = shares.map((share) => Buffer.byteLength(share))
  const end = performance.now() + STEP_MS_MAX
  while (!workers.every((worker, i) => worker.offset >= fraction * bytes[i]!)) {
    const failure = workers.find((worker) => worker.failure !== undefined)?.failure
    if (failure !== undefined) throw new Error(failure)
    if (performance.now() > end) throw new Error("the workers do not get on")
    await sleep(20)
  }
}

/** Runs the demo; returns what differs. */
async function run(texts: readonly string[]): Promise<string[]> {
  const shares = Array.from({ length: WORKERS }, (_, i) => texts.filter((_, t) => t % WORKERS === i).join(""))
  const expected = shares.map(countWords)
  const all = countWords(texts.join(""))
  const words = [...all.values()].reduce((sum, count) => sum + count, 0)
  const megabytes = Buffer.byteLength(texts.join("")) / 1e6
  say(
    `input     ${texts.length} readmes and licences of this machine, ${megabytes.toFixed(1)} MB, ${words} words`,
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

  const streams = shares.map((share, i) => ({
    path: join(directory, `input-${i}`),
    bytes: Buffer.from(share),
  }))
  for (const [partition, { path: input }] of streams.entries()) {
    writeFileSync(input, "")
    const task = { address, input, store: STORE, partition }
    workers.push(new WorkerProcess(task, (line) => say(`worker ${partition}  ${line}`)))
  }
  feeding = feed(streams, SECONDS, ending.signal)
  await untilStored(0.3, shares)

  const victim = workers[2]!
  say(`kill -9   worker 2; its last version is ${victim.version}, up to byte ${victim.offset}`)
  await victim.kill()
  victim.start()
  await untilStored(0.6, shares)

  say("kill -9   the daemon; no worker is told")
  await daemon.kill("SIGKILL")
  daemon = await daemon.restart({ flags: [...flags, "--grpc", address] })
  say(`daemon    process ${daemon.pid} is up again, from what lies on disk`)
  await untilStored(1, shares)

  say("compare   every count with a plain count in one process")
  const wrong: string[] = []
  for (const [partition, counts] of expected.entries())
    wrong.push(...(await wrongCounts(address, STORE, counts, { partition })))
  if (wrong.length === 0)
    say(`result    equal: ${all.size} different words, ${words} in all; none lost, none counted twice`)
  return wrong
}

async function end(): Promise<void> {
  ending.abort()
  await feeding
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
  const wrong = await run(findTexts())
  if (wrong.length > 0) {
    console.error(`WRONG     ${wrong.length} counts, for example:\n  ${wrong.slice(0, 10).join("\n  ")}`)
    process.exitCode = 1
  }
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await end()
}
