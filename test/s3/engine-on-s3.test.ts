// Engines and a daemon over a bucket that misbehaves: what they hold, and what they do when it does not answer.

import { execFile } from "node:child_process"
import { cpSync, mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { type Engine, isEngineError, openEngine } from "@varve/engines"
import { systemSeams } from "@varve/engines/internal"
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from "vitest"
import { bytes } from "../io/object-store-suite.ts"
import { temporaryDirectory } from "../io/temporary-directory.ts"
import { startDaemon } from "../server/daemon.ts"
import { RawClient } from "../server/raw-client.ts"
import { useCredentials } from "./credentials.ts"
import { ScriptedS3 } from "./scripted-s3.ts"

const run = promisify(execFile)
const credentials = { AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "hidden-word" }
const root = fileURLToPath(new URL("../..", import.meta.url))
const temporaryRoot = temporaryDirectory()
/** One thread for all engines: each loads the SDK. */
const seams = systemSeams({ threads: 1 })
let server: ScriptedS3
let directoryCount = 0

useCredentials(() => credentials)
beforeAll(async () => {
  server = await ScriptedS3.start()
})
afterAll(async () => {
  await seams.close()
  await server.stop()
})
beforeEach(() => server.reset())

function url(): string {
  return `s3://${server.bucket}/repository?endpoint=${server.endpoint}`
}

/** An engine in a new directory; goes with the test. */
async function open(): Promise<Engine> {
  const directory = join(temporaryRoot, String(++directoryCount))
  const engine = await openEngine({ engine: "hybrid-log", directory, repository: url(), seams })
  onTestFinished(() => engine.close())
  return engine
}

async function value(engine: Engine, key: string): Promise<string | undefined> {
  const found = await engine.get(bytes(key))
  return found === undefined ? undefined : Buffer.from(found).toString()
}

test("versions are whole when each object's first answer is lost, and each first body is cut", async () => {
  server.script = ({ method, count }) => {
    if (count > 1) return undefined
    if (method === "PUT" || method === "DELETE") return { is: "lost" }
    return method === "GET" ? { is: "cut" } : undefined
  }
  const engine = await open()
  const keys = Array.from({ length: 300 }, (_, i) => `key ${i}`)
  for (const key of keys) await engine.set(bytes(key), bytes(`${key} at 1`))
  await engine.snapshot({ version: 1, metadata: bytes("offset 1") })
  await engine.set(bytes("key 7"), bytes("changed"))
  await engine.snapshot({ version: 2 })
  await engine.close()

  const elsewhere = await open()
  expect(elsewhere.position.version).toBe(2)
  for (const key of keys)
    expect(await value(elsewhere, key)).toBe(key === "key 7" ? "changed" : `${key} at 1`)
  const { metadata } = await elsewhere.restore({ version: 1 })
  expect(Buffer.from(metadata).toString()).toBe("offset 1")
  expect(await value(elsewhere, "key 7")).toBe("key 7 at 1")
})

test("a listing that misses the newest version gives the one before, and nothing is overwritten", async () => {
  const engine = await open()
  await engine.set(bytes("k"), bytes("at 1"))
  await engine.snapshot({ version: 1 })
  const before = new Set(server.objects.keys())
  await engine.set(bytes("k"), bytes("at 2"))
  await engine.snapshot({ version: 2 })
  await engine.close()

  const newest = [...server.objects.keys()].find((path) => path.endsWith(".manifest") && !before.has(path))!
  const manifest = server.objects.get(newest)!.bytes
  server.hidden = (path) => path === newest
  const behind = await open()
  expect([behind.position.version, await value(behind, "k")]).toEqual([1, "at 1"])
  await behind.close()

  const astray = await open()
  await astray.snapshot({ version: 2 }).catch((error: unknown) => {
    if (!isEngineError(error, "VERSION_EXISTS")) throw error
  })
  expect(server.objects.get(newest)!.bytes).toBe(manifest)
})

test("a daemon stops in time and keeps everything while the bucket does not answer", async () => {
  const daemon = await startDaemon({
    flags: ["--repository", url(), "--partitions", "1"],
    environment: credentials,
  })
  onTestFinished(() => daemon.stop())
  const client = new RawClient(daemon.grpc)
  onTestFinished(() => client.close())
  await client.set(bytes("k"), bytes("v"))
  server.script = ({ method }) => (method === "PUT" ? { is: "silent" } : undefined)
  const snapshot = client.snapshot(1).then(
    () => "taken",
    () => "failed",
  )
  await vi.waitUntil(() => server.requests.some(({ path }) => path.includes("/packs/")), { timeout: 20_000 })
  client.close()
  const stopped = daemon.kill("SIGTERM")
  expect(await snapshot).toBe("failed")
  expect(await stopped).toBe(0)
  expect(daemon.log.map(({ event }) => event)).not.toContain("stop-forced")

  server.script = () => undefined
  const again = await daemon.restart()
  onTestFinished(() => again.stop())
  const reader = new RawClient(again.grpc)
  onTestFinished(() => reader.close())
  expect(Buffer.from((await reader.get(bytes("k")))!).toString()).toBe("v")
  expect((await reader.describe()).stores[0]!.partitions[0]!.recovery).toBe("continued")
})

test("without Amazon's SDK the package works with directories, and an s3: URL says what to install", async () => {
  const modules = join(temporaryRoot, "without-sdk", "node_modules")
  mkdirSync(join(modules, "@varve", "engines"), { recursive: true })
  for (const part of ["dist", "package.json"]) {
    cpSync(join(root, "engines", part), join(modules, "@varve", "engines", part), { recursive: true })
  }
  for (const name of ["piscina", "zod"]) symlinkSync(join(root, "node_modules", name), join(modules, name))
  const program = `
    import { openEngine } from "@varve/engines"
    const open = (repository, name) => openEngine({ engine: "memory", directory: process.argv[1] + name, repository })
    const engine = await open("file:" + process.argv[1] + "/versions", "/a")
    await engine.snapshot({ version: 1 })
    await engine.close()
    await open("s3://bucket", "/b").catch((error) => console.log(error.reason, error.message))`
  const { stdout } = await run(
    process.execPath,
    ["--input-type=module", "-e", program, join(modules, "..")],
    {
      cwd: join(modules, ".."),
    },
  )
  expect(stdout).toContain("REPOSITORY_FAILED")
  expect(stdout).toContain("npm install @aws-sdk/client-s3")
})
