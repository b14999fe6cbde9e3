// "Changing the engine or the number of partitions" in deploy/operations.md, step by step: a daemon of two partitions of
// hybrid-log stops, one of three partitions of lsm-tree starts on an empty data directory, and goes on with everything.

import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { runVarveHere } from "../cli/run-varve.ts"
import { type DaemonOptions, startDaemon, startRefusedDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, RawClient } from "./raw-client.ts"

const BEFORE = ["--engine", "hybrid-log", "--partitions", "2"]
const AFTER = ["--engine", "lsm-tree", "--partitions", "3"]

let repository: string
const running: { daemon: TestDaemon; client: RawClient }[] = []

beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), "varve-layouts-"))
})

afterAll(async () => {
  for (const { client } of running) client.close()
  for (const { daemon } of running) await daemon.stop()
  await rm(repository, { recursive: true, force: true })
})

async function start(
  flags: readonly string[],
  options: DaemonOptions = {},
): Promise<[TestDaemon, RawClient]> {
  const daemon = await startDaemon({ ...options, flags: ["--repository", `file:${repository}`, ...flags] })
  const client = new RawClient(daemon.grpc)
  running.push({ daemon, client })
  return [daemon, client]
}

type Contents = Map<string, string>

function contentsOf(version: number): Contents {
  const all: Contents = new Map()
  for (let i = 0; i < 500; i++) {
    if (version === 2 && i % 5 === 0) continue
    all.set(`user:${i}`, i % 2 === 0 ? `${version} of ${i}` : `always ${i}`)
  }
  return all
}

async function write(client: RawClient, contents: Contents): Promise<void> {
  await Promise.all([...contents].map(([key, value]) => client.set(bytes(key), bytes(value))))
}

/** Everything, by a scan; fails when a key comes twice. */
async function read(client: RawClient): Promise<Contents> {
  const all: Contents = new Map()
  for (const { records } of await client.scan()) {
    for (const { key, value } of records) {
      const name = Buffer.from(key).toString()
      if (all.has(name)) throw new Error(`the key ${name} is in two partitions`)
      all.set(name, Buffer.from(value).toString())
    }
  }
  return all
}

async function listed(client: RawClient): Promise<string[]> {
  return (await client.listSnapshots()).map(({ version, engine, partitions, complete, currentLine }) => {
    const marks = `${complete ? "complete" : "incomplete"}${currentLine ? "" : ", elsewhere"}`
    return `${version}: ${engine}, ${partitions.length} partitions, ${marks}`
  })
}

/** What `varve restore` says. */
async function restored(daemon: TestDaemon, version: string): Promise<string> {
  const { code, stdout, stderr } = await runVarveHere(["restore", version, "--address", daemon.grpc])
  if (code !== 0) throw new Error(`code ${code}: ${stderr}`)
  return stdout.toString()
}

async function offline(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await runVarveHere([
    ...["snapshots", ...words, "--repository", `file:${repository}`],
  ])
  if (code !== 0) throw new Error(`code ${code}: ${stderr}`)
  return stdout.toString()
}

test("another engine and another number of partitions, and back", { timeout: 120_000 }, async () => {
  const [old, oldClient] = await start(BEFORE)
  const [first, second] = [contentsOf(1), contentsOf(2)]
  await write(oldClient, first)
  await oldClient.snapshot(1, { metadata: bytes("offset 1") })
  const changed = [...first.keys()].map((key) => [key, second.get(key) ?? ""] as const)
  await write(oldClient, new Map(changed.filter(([, value]) => value !== "")))
  await Promise.all(changed.map(([key, value]) => (value === "" ? oldClient.delete(bytes(key)) : undefined)))
  await oldClient.snapshot(2, { metadata: bytes("offset 2") })
  await old.kill("SIGTERM")

  // The data directory was made for one layout. The refusal says what to do, and where that is written.
  const flags = ["--repository", `file:${repository}`]
  const refused = await startRefusedDaemon({ directory: old.directory, flags: [...flags, ...AFTER] })
  const line = refused.log.find(({ event }) => event === "setting-refused")
  expect(line?.message).toMatch(/empty data directory.*deploy\/operations\.md/)
  const heading = /"([^"]+)" in deploy/.exec(
    await readFile(new URL("../../server/src/control/store-file.ts", import.meta.url), "utf8"),
  )![1]!
  const guide = await readFile(new URL("../../deploy/operations.md", import.meta.url), "utf8")
  expect(guide).toContain(`## ${heading}`)

  const [daemon, client] = await start(AFTER)
  expect(daemon.log.find(({ event }) => event === "store-converted")).toMatchObject({
    level: "warn",
    ...{ version: 2, fromEngine: "hybrid-log", fromPartitions: 2, engine: "lsm-tree", partitions: 3 },
  })
  expect(await read(client)).toEqual(second)
  const { stores } = await client.describe()
  expect(stores[0]).toMatchObject({ engine: "lsm-tree", partitionCount: 3 })
  for (const { recovery, version, metadata } of stores[0]!.partitions) {
    expect([recovery, version, Buffer.from(metadata).toString()]).toEqual(["restored", 2n, "offset 2"])
  }
  const before = ["1: hybrid-log, 2 partitions, complete", "2: hybrid-log, 2 partitions, complete"]
  expect(await listed(client)).toEqual(before)

  // It goes on, and so do its versions.
  await client.set(bytes("user:1"), bytes("3"))
  expect((await client.snapshot(3)).complete).toBe(true)
  const third = new Map(second).set("user:1", "3")
  const after = [...before, "3: lsm-tree, 3 partitions, complete"]
  expect(await listed(client)).toEqual(after)

  // An older version of the old layout, in place; and the way back.
  const { metadata, replaced, converted } = await client.restore({ version: 1n })
  expect([Buffer.from(metadata).toString(), converted]).toEqual(["offset 1", true])
  expect(await read(client)).toEqual(first)
  await client.restore({ replaced })
  expect(await read(client)).toEqual(third)
  expect(await restored(daemon, "2")).toMatch(
    /\nit was written by another engine .*: its records were written anew/,
  )
  expect(await restored(daemon, "3")).not.toContain("written anew")
  expect(await read(client)).toEqual(third)

  // Tools that read the repository find each version in the partitions that it has.
  expect((await offline("list", "--json")).match(/"complete":true/g)).toHaveLength(3)
  expect(await offline("get", "2", "user:2")).toBe("2 of 2")
  expect(await offline("get", "3", "user:1")).toBe("3")
  expect(await offline("scan", "1")).toContain("user:499\talways 499")
  expect((await offline("history", "user:1", "--json")).match(/"value":"[^"]*"/g)).toEqual([
    '"value":"always 1"',
    '"value":"always 1"',
    '"value":"3"',
  ])
  expect(await offline("verify")).toContain("nothing is damaged")
  await expect(offline("diff", "2", "3")).rejects.toThrow(
    /code 2: .*2 has 2 partitions and 3 has 3.*snapshots scan/,
  )
  // Also by its whole name, although partition 2 has had fewer owners than the others.
  const { timeline } = (await client.listSnapshots()).find(({ version }) => version === 3n)!
  for (const [words, wanted] of [
    [["show", `${timeline}/3`], `version 3 of timeline ${timeline}`],
    [["get", `${timeline}/3`, "user:1"], "3"],
    [["scan", `${timeline}/3`], "user:1\t3"],
    [["verify", `${timeline}/3`], "nothing is damaged: 3 versions of partitions"],
  ] as const) {
    expect(await offline(...words)).toContain(wanted)
  }

  // Who goes back to the old directory finds that somebody has gone on, and goes on from there.
  await daemon.kill("SIGTERM")
  const again = await old.restart({ flags: [...flags, ...BEFORE] })
  const againClient = new RawClient(again.grpc)
  running.push({ daemon: again, client: againClient })
  expect(await read(againClient)).toEqual(third)
  expect(await listed(againClient)).toEqual(after)
  await againClient.deleteSnapshot(3)
  expect(await listed(againClient)).toEqual(before)
})
