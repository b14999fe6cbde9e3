// A start that cannot put a version back fails, and the next one begins where it began: whatever the empty engines of the
// first one have left in the data directory is not taken for a state.

import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, expect, test } from "vitest"
import { type DaemonOptions, startDaemon, startRefusedDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, RawClient } from "./raw-client.ts"

const KEY = bytes("key")

let directory: string
let crashed: string
let daemon: TestDaemon | undefined

/** A repository with version 1, and a data directory that a crash has left. */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-failed-"))
  crashed = await mkdtemp(join(directory, "crashed-"))
  daemon = await startDaemon({ ...options("snapshot"), directory: crashed })
  const client = new RawClient(daemon.grpc)
  await client.set(KEY, bytes("1"))
  await client.snapshot(1)
  client.close()
  await daemon.kill("SIGKILL")
})

afterEach(async () => {
  await daemon?.kill("SIGTERM")
})

afterAll(() => rm(directory, { recursive: true, force: true }))

function options(durability: string): DaemonOptions {
  const repository = join(directory, "repository")
  return {
    flags: ["--repository", `file:${repository}`, "--partitions", "2", "--durability", durability],
  }
}

async function manifestPath(): Promise<string> {
  const stores = join(directory, "repository", "stores")
  const names = await readdir(stores, { recursive: true })
  return join(stores, names.find((name) => name.endsWith(".manifest"))!)
}

test.each([
  { found: "new", durability: "snapshot" },
  { found: "new", durability: "log" },
  { found: "crashed", durability: "snapshot" },
])(
  "a $found store that could not be brought up is brought up later, durability $durability",
  async (each) => {
    const own = await mkdtemp(join(directory, "own-"))
    if (each.found === "crashed") await cp(crashed, own, { recursive: true })
    const manifest = await manifestPath()
    const whole = await readFile(manifest)
    await writeFile(manifest, whole.subarray(1))
    const refused = await startRefusedDaemon({ ...options(each.durability), directory: own })
    expect(refused.log.some(({ event }) => event === "store-damaged")).toBe(true)
    await writeFile(manifest, whole)

    daemon = await startDaemon({ ...options(each.durability), directory: own })
    expect(daemon.log.find(({ event }) => event.startsWith("store-"))).toMatchObject({
      event: "store-restored",
      level: each.found === "new" ? "info" : "warn",
      version: 1,
    })
    const client = new RawClient(daemon.grpc)
    expect(Buffer.from((await client.get(KEY)) ?? "").toString()).toBe("1")
    client.close()
    expect(await readdir(join(own, "data", "stores", "default"))).not.toContain("RECOVERING")
  },
)

test("stores that have lost their files store.json go on as they were, with and without a log", async () => {
  const own = await mkdtemp(join(directory, "own-"))
  const config = join(own, "varve.yaml")
  await writeFile(config, JSON.stringify({ stores: { default: {}, logged: { durability: "log" } } }))
  const stores = ["default", "logged"]
  const key = bytes("after the version")
  const { flags = [] } = options("snapshot")
  const first = await startDaemon({ directory: own, flags: [...flags, "--config", config] })
  daemon = first
  const before = new RawClient(first.grpc)
  for (const store of stores) await before.set(key, bytes(`of ${store}`), { store })
  before.close()
  await first.kill("SIGTERM")
  for (const store of stores) await rm(join(own, "data", "stores", store, "store.json"))

  daemon = await first.restart()
  const continued = daemon.log.filter(({ event }) => event === "store-continued")
  expect(continued.map(({ store }) => store)).toEqual(stores)
  const client = new RawClient(daemon.grpc)
  for (const store of stores) {
    const value = await client.get(key, { store })
    expect(Buffer.from(value ?? "").toString()).toBe(`of ${store}`)
  }
  client.close()
})
