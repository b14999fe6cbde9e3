// "The repository is lost" in deploy/recovery.md, as a daemon meets it: it is wiped while the daemon runs, or after
// it has stopped in time; then its copy is brought back. What there is afterwards depends on the durability.

import { cp, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { runVarveHere } from "../cli/run-varve.ts"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, RawClient } from "./raw-client.ts"

const [BEFORE, AFTER] = [bytes("in the copy"), bytes("after the copy")]

let directory: string
let daemon: TestDaemon | undefined

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-lost-"))
})

afterEach(async () => {
  await daemon?.stop()
  await rm(directory, { recursive: true, force: true })
})

const repository = (): string => join(directory, "repository")
const copy = (): string => join(directory, "copy")

/** A daemon with version 1, of which there is a copy, and version 2 and a write after it, of which there is none. */
async function startAndCopy(durability: string): Promise<TestDaemon> {
  const flags = ["--repository", `file:${repository()}`, "--durability", durability, "--partitions", "2"]
  daemon = await startDaemon({ flags: [...flags, "--owner-check-seconds", "0"] })
  const client = new RawClient(daemon.grpc)
  await client.set(BEFORE, bytes("1"))
  await client.snapshot(1)
  await cp(repository(), copy(), { recursive: true })
  await client.set(bytes("in version 2"), bytes("2"))
  await client.snapshot(2)
  await client.set(AFTER, bytes("3"))
  client.close()
  return daemon
}

/** The event by which a start says what there is, after the copy took the repository's place. */
async function startOnCopy(stopped: TestDaemon): Promise<unknown> {
  await rm(repository(), { recursive: true, force: true })
  await cp(copy(), repository(), { recursive: true })
  daemon = await stopped.restart()
  return daemon.log.map(({ event }) => event).find((event) => event.startsWith("store-"))
}

async function isThere(key: Uint8Array): Promise<boolean> {
  const client = new RawClient(daemon!.grpc)
  const value = await client.get(key)
  client.close()
  return value !== undefined
}

/** The next version, and a drill of it: the repository has all of the state again. */
async function expectWhole(): Promise<void> {
  for (const command of [["snapshot", "3"], ["drill"]]) {
    const { code, stderr } = await runVarveHere([...command, "--address", daemon!.grpc])
    expect(stderr).toBe("")
    expect(code).toBe(0)
  }
}

test.each([
  { durability: "snapshot", event: "store-restored", keepsAll: false },
  { durability: "log", event: "store-replayed", keepsAll: true },
])("a repository that is wiped ends the ownership; durability $durability: $event", async (expected) => {
  const first = await startAndCopy(expected.durability)
  await rm(repository(), { recursive: true })
  const client = new RawClient(first.grpc)
  await expect(client.snapshot(3)).rejects.toMatchObject({ reason: "OWNER_FENCED" })
  client.close()
  await first.kill("SIGTERM")
  expect(await startOnCopy(first)).toBe(expected.event)
  expect(await isThere(BEFORE)).toBe(true)
  expect(await isThere(AFTER)).toBe(expected.keepsAll)
  await expectWhole()
})

test("a daemon that stops before it notices loses nothing", async () => {
  const first = await startAndCopy("snapshot")
  expect(await first.kill("SIGTERM")).toBe(0)
  expect(await startOnCopy(first)).toBe("store-continued")
  expect(await isThere(BEFORE)).toBe(true)
  expect(await isThere(AFTER)).toBe(true)
  await expectWhole()
})
