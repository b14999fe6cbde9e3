// A store that comes up from a repository elsewhere: served before it is fetched, through a kill in the middle;
// and a newest version that is damaged.

import { ok, rejects, strictEqual } from "node:assert"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { partitionOfKey } from "@varve/proto"
import { afterAll, beforeAll, expect, test } from "vitest"
import { runVarveHere } from "../cli/run-varve.ts"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, failsWith, RawClient, writes } from "./raw-client.ts"

const PARTITIONS = 2
const VALUE_BYTES = 2000
const KEY_COUNT = 2000
const keys = Array.from({ length: KEY_COUNT }, (_, index) => `key ${index}`)

let repository = ""
let daemon: TestDaemon
let client: RawClient

beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), "varve-elsewhere-"))
  const writer = await startDaemon({ flags: flags() })
  const first = new RawClient(writer.grpc)
  try {
    for (const version of [1, 2]) {
      await fill(first, version)
      await first.snapshot(version, { metadata: bytes(`position ${version}`) })
    }
  } finally {
    first.close()
    await writer.stop()
  }
  daemon = await startDaemon({ flags: flags() })
  client = new RawClient(daemon.grpc)
}, 60_000)

afterAll(async () => {
  client?.close()
  await daemon?.stop()
  await rm(repository, { recursive: true, force: true })
})

function flags(): string[] {
  return ["--repository", `file:${repository}`, "--partitions", String(PARTITIONS), "--engine", "append-log"]
}

/** Values that do not repeat. */
function value(key: string, version: number): string {
  return `${version} of ${key}; `.repeat(VALUE_BYTES).slice(0, VALUE_BYTES)
}

async function fill(target: RawClient, version: number): Promise<void> {
  for (let from = 0; from < KEY_COUNT; from += 500) {
    const part = keys.slice(from, from + 500)
    const frames = Array.from({ length: PARTITIONS }, (_, partition) => {
      const own = part.filter((key) => partitionOfKey(bytes(key), PARTITIONS) === partition)
      return { store: "", partition, work: writes(...own.map((key) => [key, value(key, version)] as const)) }
    })
    for (const { result } of await target.pipeline(frames)) strictEqual(result?.$case, "written")
  }
}

async function expectVersion(version: number): Promise<void> {
  for (let from = 0; from < KEY_COUNT; from += 500) {
    const part = keys.slice(from, from + 500)
    const found = await client.getMany(part.map(bytes))
    for (const [i, each] of found.entries()) strictEqual(String(each), value(part[i]!, version))
  }
}

async function restart(signal: NodeJS.Signals): Promise<string[]> {
  client.close()
  await daemon.kill(signal)
  daemon = await daemon.restart()
  client = new RawClient(daemon.grpc)
  return (await client.describe()).stores[0]!.partitions.map(({ recovery }) => recovery)
}

async function localParts(): Promise<{ total: bigint; local: bigint }> {
  const { partitions } = (await client.describe()).stores[0]!
  const sum = (of: (each: (typeof partitions)[number]) => bigint): bigint =>
    partitions.reduce((all, each) => all + of(each), 0n)
  return {
    total: sum(({ statistics }) => statistics?.bytesTotal ?? 0n),
    local: sum(({ statistics }) => statistics?.bytesLocal ?? 0n),
  }
}

test("a new daemon serves the version at once; a kill in the middle loses nothing of it", async () => {
  await expectVersion(2)
  expect(await restart("SIGKILL")).toEqual(["restored", "restored"])
  await expectVersion(2)
  await expect
    .poll(async () => (await localParts()).total - (await localParts()).local, { timeout: 30_000 })
    .toBe(0n)
  const files = await readdir(daemon.directory, { recursive: true })
  expect(files.filter((name) => name.endsWith(".run")).length).toBeGreaterThan(0)
  expect(files.filter((name) => name.endsWith(".part"))).toEqual([])
  const metrics = await (await fetch(`${daemon.http}/metrics`)).text()
  const local = /^varve_local_bytes\{[^}]*\} (\d+)$/m.exec(metrics)
  ok(Number(local?.[1]) > 0, "the metric tells how much is here")
}, 60_000)

test("a damaged newest version is refused, and passed over when that is asked for", async () => {
  const manifests = (await readdir(join(repository, "stores"), { recursive: true })).filter((name) =>
    /^default\/1\/.*\/0{15}2-\d{16}\.manifest$/.test(name),
  )
  strictEqual(manifests.length, 1)
  const path = join(repository, "stores", manifests[0]!)
  const whole = await readFile(path)
  await writeFile(path, whole.subarray(0, whole.length - 70))
  await failsWith("DATA_LOSS", client.restore())
  await expectVersion(2)
  await failsWith("REQUEST_INVALID", client.restore({ fallback: "next" }))
  await failsWith("REQUEST_INVALID", client.restore({ version: 1n, fallback: "previous" }))
  const run = await runVarveHere(["restore", "--fallback", "previous", "--address", daemon.grpc])
  const said = `${run.stdout}`
  strictEqual(run.code, 0, run.stderr)
  expect(said).toMatch(/restored version 1 of timeline/)
  expect(said).toMatch(/passed over version 2 of timeline .*: .*0002.*manifest.* is damaged/)
  await expectVersion(1)
  const metrics = await (await fetch(`${daemon.http}/metrics`)).text()
  expect(metrics).toMatch(/^varve_restore_skipped_versions_total\{store="default"\} 1$/m)
  expect(
    daemon.log.filter(({ event, level }) => event === "restore-skipped" && level === "error"),
  ).toHaveLength(1)
}, 60_000)

test("a start whose newest version is damaged fails, unless it may take an older one", async () => {
  client.close()
  await daemon.stop()
  await rejects(startDaemon({ flags: flags() }), /store-damaged.*recoveryFallback/)
  const config = join(repository, "varve.yaml")
  await writeFile(config, JSON.stringify({ stores: { default: { recoveryFallback: "previous" } } }))
  daemon = await startDaemon({ flags: [...flags(), "--config", config] })
  client = new RawClient(daemon.grpc)
  await expectVersion(1)
  expect(
    daemon.log.filter(({ event, level }) => event === "restore-skipped" && level === "error"),
  ).toHaveLength(1)
}, 60_000)
