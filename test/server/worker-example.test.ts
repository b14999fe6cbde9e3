// The worker of client/examples as a process beside a daemon: both are killed when counts have been written that no
// version holds, and every word counts once.

import { deepStrictEqual, ok } from "node:assert"
import { appendFileSync, writeFileSync } from "node:fs"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect, type State } from "@varve/client"
import { afterAll, beforeAll, test } from "vitest"
import { wrongCounts } from "../demo/counts.ts"
import { countWords } from "../demo/texts.ts"
import { WorkerProcess } from "../demo/worker-process.ts"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { until } from "./until.ts"

/** So rarely that no version is made, and so often that one is made after every batch. */
const [NEVER_MS, ALWAYS_MS] = [1_000_000_000, 0]

let directory: string
let input: string
let daemon: TestDaemon
let state: State
let worker: WorkerProcess
const said: string[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-worker-"))
  input = join(directory, "input")
  writeFileSync(input, "")
  daemon = await startDaemon({ directory })
  state = connect(daemon.grpc)
  worker = new WorkerProcess({ address: daemon.grpc, input, everyMs: NEVER_MS }, (line) => said.push(line))
})

afterAll(async () => {
  await worker?.kill()
  await state?.close()
  await daemon?.stop()
  await rm(directory, { recursive: true, force: true })
})

test("a worker that is killed before its first offset is stored begins again, on no counts", async () => {
  append(1_000, "lastofa")
  await untilSo("the first words are counted", async () => (await state.get("lastofa")) !== undefined)
  await worker.kill()
  worker.start({ everyMs: ALWAYS_MS })
  await untilSo("a version holds them", () => worker.offset === inputBytes)
  deepStrictEqual(begins(), [0, 0])
  deepStrictEqual(await wrong(), [])
})

test("a daemon that is killed in the middle of the input is continued from its version", async () => {
  await worker.kill()
  const stored = inputBytes
  worker.start({ everyMs: NEVER_MS })
  append(1, "firstofb")
  append(150_000, "lastofb")
  await untilSo("the next words are counted", async () => (await state.get("firstofb")) !== undefined)
  await crashDaemon()
  await untilSo("the worker begins again", () => begins().length === 4)
  deepStrictEqual(begins().slice(2), [stored, stored])
  await untilSo("every count is right", async () => (await wrong()).length === 0)
})

test("a version that somebody puts back while there is no input is the one that the worker goes on from", async () => {
  await state.restore({ version: 1 })
  await untilSo("the worker begins again", () => begins().length === 5)
  deepStrictEqual(begins().at(-1), 0) // with version 1, which was made before the first write
  await untilSo("every count is right", async () => (await wrong()).length === 0)
})

test("a version that somebody makes beside the worker ends it with the command that takes the version away", async () => {
  await worker.kill()
  worker.start({ everyMs: ALWAYS_MS })
  append(1, "lastofc")
  await untilSo("a version holds them", () => worker.offset === inputBytes)
  const { version, timeline } = await state.snapshot({ version: worker.version + 1 })
  append(1, "lastofd")
  await untilSo("the worker ends", () => worker.failure !== undefined)
  const command = `varve snapshots delete ${version} --timeline ${timeline} --store default`
  deepStrictEqual(said.filter((line) => line.startsWith("VERSION_")).length, 1, said.join("\n"))
  ok(
    said.some((line) => line.endsWith(`is not of this worker; to go on without it: ${command}`)),
    said.join("\n"),
  )
  await state.deleteSnapshot({ version, timeline })
  worker.start({ everyMs: ALWAYS_MS })
  await untilSo("every count is right", async () => (await wrong()).length === 0)
})

test("a store whose versions are gone is not counted into from the beginning", async () => {
  await worker.kill()
  for (const { version, timeline } of await state.listSnapshots())
    await state.deleteSnapshot({ version, timeline })
  worker.start()
  await untilSo("the worker ends", () => worker.failure !== undefined)
  ok(
    said.some((line) => line.includes("had versions that it does not list")),
    said.join("\n"),
  )
})

let inputBytes = 0

/** Adds a line of `words` words, and one of `last`, to the input. */
function append(words: number, last: string): void {
  const line = Array.from({ length: words }, (_, i) => `w${(i * 7919) % 1999}${i % 1000 === 0 ? "\n" : ""}`)
  const text = `${line.join(" ")}\n${last}\n`
  appendFileSync(input, text)
  inputBytes += text.length
}

/** The bytes from which the workers began to count, in order. */
function begins(): number[] {
  return said.flatMap((line) => /^counting from byte (\d+)/.exec(line)?.[1] ?? []).map(Number)
}

async function wrong(): Promise<string[]> {
  return wrongCounts(daemon.grpc, "default", countWords(await readFile(input, "utf8")))
}

async function crashDaemon(): Promise<void> {
  await daemon.kill("SIGKILL")
  daemon = await daemon.restart({ flags: ["--grpc", daemon.grpc] })
}

/** Fails with what the worker said, and the first counts that are wrong, also when the worker has ended. */
async function untilSo(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const explain = async (): Promise<string[]> => [...said, ...(await wrong()).slice(0, 5)]
  const find = async (): Promise<boolean> => {
    if (await isSo()) return true
    if (worker.failure === undefined) return false
    throw new Error([`${what}: ${worker.failure}`, ...(await explain())].join("\n"))
  }
  await until(what, find, explain)
}
