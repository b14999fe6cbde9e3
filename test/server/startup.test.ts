// What the daemon refuses to start with: a clear line, a code of its own, and nothing left running. Settings are refused
// as a process once for each of their sources, otherwise where they are read. One daemon is in the way of all.

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert"
import { createHash } from "node:crypto"
import { channel } from "node:diagnostics_channel"
import { existsSync } from "node:fs"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Worker } from "node:worker_threads"
import { loadSettings, SettingsError, startDaemon as startDaemonHere } from "@varve/server"
import { afterAll, afterEach, beforeAll, beforeEach, test } from "vitest"
import { type DaemonLogLine, startDaemon, startRefusedDaemon, type TestDaemon } from "./daemon.ts"

const SETTINGS = 2
const LOCKED = 6
const DAMAGED = 5
const FAILED = 70

let directory: string
/** Has a directory and ports that others want. */
let daemon: TestDaemon

beforeAll(async () => {
  daemon = await startDaemon()
})

afterAll(() => daemon.stop())

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-startup-"))
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

async function refuses(code: number, flags: readonly string[], ...words: string[]): Promise<DaemonLogLine> {
  const { exitCode, log } = await startRefusedDaemon({ directory, flags })
  const line = log.at(-1)!
  strictEqual(exitCode, code, JSON.stringify(log))
  strictEqual(line.level, "error")
  for (const word of words) ok(line.message.includes(word), line.message)
  return line
}

/** The same for settings, without a process. @param flags by property, as the command line gives them */
async function refusesSettings(
  flags: Readonly<Record<string, string>>,
  ...words: readonly string[]
): Promise<void> {
  const loaded = loadSettings({ flags, environment: {}, currentDirectory: directory })
  await rejects(loaded, (error: Error) => {
    ok(error instanceof SettingsError, error.stack)
    for (const word of words) ok(error.message.includes(word), error.message)
    return true
  })
}

test("an unknown engine, a number out of range, an unknown durability", async () => {
  await refuses(
    SETTINGS,
    ["--engine", "btree"],
    "stores.default.engine",
    '"btree"',
    "flag --engine",
    "hybrid-log",
  )
  await refusesSettings({ partitions: "0" }, "partitions", "1 to")
  await refusesSettings({ durability: "never" }, "durability", "snapshot, log")
  await refusesSettings({ shards: "0" }, "shards", "1 to 64, or auto")
  await refusesSettings({ repository: "ftp://host/prefix" }, "repository", "file:DIR")
})

test("a config file with an unknown key names the nearest one", async () => {
  const path = join(directory, "varve.yaml")
  await writeFile(path, "limits:\n  messageBytesMx: 5\n")
  await refuses(SETTINGS, ["--config", path], "limits.messageBytesMx", "limits.messageBytesMax?", path)
  await writeFile(path, "stores: { ../evil: {} }\n")
  await refusesSettings({ config: path }, "../evil", "a-z")
  await writeFile(path, "stores: [unclosed\n")
  await refusesSettings({ config: path }, "YAML")
  await refusesSettings({ config: join(directory, "missing.yaml") }, "missing.yaml")
})

test("an engine's own setting that is not known", async () => {
  const path = join(directory, "varve.yaml")
  await writeFile(path, "stores: { default: { settings: { memSegmentLenght: 5 } } }\n")
  await refusesSettings(
    { config: path },
    "stores.default.settings.memSegmentLenght",
    path,
    "did you mean memSegmentLength?",
    "roLagInterval",
  )
  await writeFile(path, "stores: { orders: { settings: { memSegmentLength: 5 } } }\n")
  await refusesSettings({ config: path }, "stores.orders.settings.memSegmentLength: 5", path, "4096")
  await writeFile(path, "stores: { orders: { engine: memory, settings: { memSegmentLength: 5 } } }\n")
  await refuses(SETTINGS, ["--config", path], "engine memory", "has none")
  strictEqual(existsSync(join(directory, "data")), false)
})

test("a data directory that another daemon holds", async () => {
  const flags = ["--data-dir", join(daemon.directory, "data")]
  const line = await refuses(LOCKED, flags, String(daemon.pid), "stop that process", "--data-dir")
  strictEqual(`${line.event} ${line["reason"]}`, "start-failed DIRECTORY_LOCKED")
})

test("a port in use, gRPC and HTTP", async () => {
  const http = daemon.http.slice("http://".length)
  await refuses(SETTINGS, ["--grpc", daemon.grpc], `grpc: ${daemon.grpc} is in use`, "--grpc HOST:PORT")
  await refuses(SETTINGS, ["--http", http], `http: ${http} is in use`, "--http HOST:PORT", "stop")
  await refuses(SETTINGS, ["--grpc", "192.0.2.1:0"], "grpc: 192.0.2.1:0", "no address of this machine")
  strictEqual(existsSync(join(directory, "data")), false)
})

test("a data directory that is a file", async () => {
  const file = join(directory, "data")
  const advice = "give another directory (--data-dir DIR)"
  await writeFile(file, "")
  // A file where a directory should be stops even root, whom permissions do not.
  const line = await refuses(SETTINGS, [], `dataDir: ${file} is no directory`, advice)
  strictEqual(line.event, "setting-refused")
})

test.each([
  { what: "a flag that is unknown", flags: ["--nope"], code: SETTINGS },
  { what: "a repository that is a file", flags: ["--repository", "file:taken"], code: FAILED },
])("$what: a thread that loads its modules is not ended before it has", async ({ flags, code }) => {
  const order = join(directory, "order")
  await writeFile(order, "")
  await writeFile(join(directory, "taken"), "")
  const { exitCode, log } = await startRefusedDaemon({
    directory,
    flags,
    nodeFlags: ["--import", new URL("loading-order.mjs", import.meta.url).href],
    environment: { LOADING_ORDER: order },
  })
  strictEqual(exitCode, code, JSON.stringify(log))
  const words = (await readFile(order, "utf8")).split("\n")
  deepStrictEqual(words.slice(0, 3), ["loading", "ending", "loaded"])
})

test("a repository of a newer format, and a damaged store file", async () => {
  await daemon.kill("SIGTERM")
  const data = join(daemon.directory, "data")
  const flags = ["--data-dir", data]
  const repositoryFile = join(data, "repository", "repository.json")
  const repository = await readFile(repositoryFile, "utf8")
  const storeFile = join(data, "stores", "default", "store.json")
  const store = await readFile(storeFile, "utf8")
  await writeFile(storeFile, store.replace('"partitions":4', '"partitions":5'))
  await refuses(DAMAGED, flags, "store.json")
  await writeFile(storeFile, store)
  await writeFile(repositoryFile, newerFormat(repository))
  await refuses(FAILED, flags, "repository.json", "format")
})

test("a start that fails in a process that goes on leaves no thread there, also none that was started ahead", async () => {
  const workers: Worker[] = []
  const started = channel("worker_threads")
  const note = (message: unknown): void => void workers.push((message as { worker: Worker }).worker)
  started.subscribe(note)
  try {
    await writeFile(join(directory, "repository"), "")
    const flags = {
      ...{ grpc: "127.0.0.1:0", http: "127.0.0.1:0", shards: "2" },
      ...{ dataDir: join(directory, "data"), repository: `file:${join(directory, "repository")}` },
    }
    const { settings } = await loadSettings({ flags, environment: {}, currentDirectory: directory })
    const ignore = (): void => undefined
    const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore }
    await rejects(startDaemonHere(settings, silent), /repository/)
  } finally {
    started.unsubscribe(note)
  }
  ok(workers.length >= 2)
  const ended = -1
  deepStrictEqual(new Set(workers.map(({ threadId }) => threadId)), new Set([ended]))
})

/** The same file as a later version would write it: its own checksum is right. */
function newerFormat(text: string): string {
  const sealed = text.slice(0, text.indexOf(',"checksum"')).replace(`"format":1`, `"format":2`)
  const checksum = createHash("sha256").update(sealed).digest("hex")
  return `${sealed},"checksum":"${checksum}"}\n`
}
