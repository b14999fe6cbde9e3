// "Upgrading and downgrading" in deploy/operations.md, from the side of older software: what newer software wrote is refused
// and stays as it is, and the way back that the page tells leads back. Newer software is played by putting a higher number
// of the format into sealed files.

import { createHash } from "node:crypto"
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest"
import { runVarveHere } from "../cli/run-varve.ts"
import { type DaemonOptions, startDaemon, startRefusedDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, RawClient } from "./raw-client.ts"

const MANIFEST_OF_2 = /\/0{15}2-\d{16}\.manifest$/
const STATE = "data/stores/default/0/state"
const KEY = bytes("key")

let before: string
let directory: string
let repository: string
let daemon: TestDaemon

async function newDirectory(): Promise<void> {
  directory = await mkdtemp(join(tmpdir(), "varve-newer-"))
  repository = join(directory, "repository")
}

/** Version 1, version 2, and a clean stop: what there was before anything newer came. Each test has a copy. */
beforeAll(async () => {
  await newDirectory()
  before = directory
  daemon = await startDaemon(await placed("first"))
  const client = new RawClient(daemon.grpc)
  for (const version of [1, 2]) {
    await client.set(KEY, bytes(`of version ${version}`))
    await client.snapshot(version)
  }
  client.close()
  await daemon.kill("SIGTERM")
})

afterAll(() => rm(before, { recursive: true, force: true }))

beforeEach(async () => {
  await newDirectory()
  await cp(before, directory, { recursive: true })
})

afterEach(async () => {
  await daemon.kill("SIGTERM")
  await rm(directory, { recursive: true, force: true })
})

/** A daemon on the repository, with a directory of its own. */
async function placed(
  name: string,
  flags: readonly string[] = [],
): Promise<DaemonOptions & { directory: string }> {
  const own = join(directory, name)
  await mkdir(own, { recursive: true })
  return { directory: own, flags: ["--repository", `file:${repository}`, "--partitions", "1", ...flags] }
}

/** Gives a file of sealed JSON the number of a format that nobody knows. */
async function makeNewer(path: string): Promise<void> {
  const [line] = (await readFile(path, "utf8")).split("\n")
  const newer = line!.replace(/^\{"format":\d+/, '{"format":99')
  await writeFile(path, `${newer}\n${createHash("sha256").update(newer).digest("hex")}\n`)
}

async function objects(): Promise<string[]> {
  const names = await readdir(repository, { recursive: true })
  return names.filter((name) => /\.(?:manifest|pack)$/.test(name)).sort()
}

async function varve(...words: string[]): Promise<{ code: number | null; stderr: string }> {
  const { code, stderr } = await runVarveHere([...words, "--address", daemon.grpc])
  return { code, stderr }
}

test("a newer state file is refused with its path, and nothing is touched", async () => {
  const options = await placed("first")
  const path = join(options.directory, STATE)
  await makeNewer(path)
  const newer = await readFile(path)
  const { exitCode, log } = await startRefusedDaemon(options)
  expect(exitCode).toBe(70)
  expect(log.at(-1)).toMatchObject({ event: "start-failed" })
  expect(log.at(-1)!.message).toMatch(/default\/0\/state has format 99; .* up to \d+: use a newer one/)
  expect(await readFile(path)).toEqual(newer)
})

test("a newer version is refused at the start, also where damaged ones are passed over; the way back leads back", async () => {
  await cp(repository, join(directory, "upgraded"), { recursive: true })
  const all = await objects()
  await makeNewer(join(repository, all.find((name) => MANIFEST_OF_2.test(name))!))
  const config = join(directory, "varve.yaml")
  await writeFile(config, "stores: { default: { recoveryFallback: previous } }")
  const { exitCode, log } = await startRefusedDaemon(await placed("older", ["--config", config]))
  expect(exitCode).toBe(70)
  expect(log.at(-1)!.message).toMatch(/2-\d{16}\.manifest has format 99/)
  expect(await objects()).toEqual(all)

  // Step 1, by the newer software, which reads its own; step 2.
  await rm(repository, { recursive: true })
  await cp(join(directory, "upgraded"), repository, { recursive: true })
  daemon = await startDaemon(await placed("first"))
  expect(await varve("restore", "1")).toEqual({ code: 0, stderr: "" })
  expect(await varve("snapshots", "delete", "2")).toEqual({ code: 0, stderr: "" })
  await daemon.kill("SIGTERM")
  daemon = await startDaemon(await placed("older"))
  expect(daemon.log.find(({ event }) => event === "store-restored")).toMatchObject({ version: 1 })
  const client = new RawClient(daemon.grpc)
  expect(Buffer.from((await client.get(KEY))!).toString()).toBe("of version 1")
  client.close()
})

test("beside newer versions of another store a daemon goes on, and its garbage collection removes nothing", async () => {
  const [path] = (await objects()).filter((name) => MANIFEST_OF_2.test(name))
  const other = join(repository, path!.replace("stores/default/", "stores/other/"))
  await mkdir(join(other, ".."), { recursive: true })
  await cp(join(repository, path!), other)
  await makeNewer(other)
  const all = await objects()
  daemon = await startDaemon(await placed("first"))
  expect(await varve("gc")).toMatchObject({ code: 3, stderr: expect.stringContaining("FORMAT_NEWER") })
  expect(await objects()).toEqual(all)
  expect(daemon.log.some(({ event }) => event === "garbage-collection-failed")).toBe(true)
  expect(await varve("snapshot", "3")).toEqual({ code: 0, stderr: "" })
})
