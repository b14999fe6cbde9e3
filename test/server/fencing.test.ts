// Two daemons on one repository, each with a directory of its own: the one that came last has the partitions, and the
// other one can do no harm, whenever it wakes up.

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { health, ServingStatus } from "./health.ts"
import { bytes, RawClient } from "./raw-client.ts"
import { until } from "./until.ts"

const KEY = bytes("key")
const fenced = { reason: "OWNER_FENCED" }

let repository: string
const daemons: TestDaemon[] = []
const clients: RawClient[] = []

beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), "varve-fencing-"))
})

afterAll(async () => {
  for (const client of clients) client.close()
  for (const daemon of daemons) await daemon.kill("SIGKILL")
  for (const daemon of daemons) await daemon.stop()
  await rm(repository, { recursive: true, force: true })
})

function known(daemon: TestDaemon): [TestDaemon, RawClient] {
  const client = new RawClient(daemon.grpc)
  daemons.push(daemon)
  clients.push(client)
  return [daemon, client]
}

async function start(ownerCheckSeconds: number): Promise<[TestDaemon, RawClient]> {
  const flags = ["--repository", `file:${repository}`, "--partitions", "2", "--durability", "log"]
  return known(await startDaemon({ flags: [...flags, "--owner-check-seconds", String(ownerCheckSeconds)] }))
}

async function read(client: RawClient): Promise<string | undefined> {
  const value = await client.get(KEY)
  return value === undefined ? undefined : Buffer.from(value).toString()
}

async function versionsOf(client: RawClient): Promise<number[]> {
  return (await client.listSnapshots()).map(({ version }) => Number(version))
}

async function metric(daemon: TestDaemon, name: string): Promise<string[]> {
  const text = await (await fetch(`${daemon.http}/metrics`)).text()
  return text.split("\n").flatMap((line) => (line.startsWith(`${name}{`) ? [line.split(" ")[1]!] : []))
}

/** Resolves when a write is refused because the partition is another's. */
async function untilFenced(client: RawClient): Promise<void> {
  await until("fenced", async () => {
    try {
      await client.set(KEY, bytes("for nobody"))
      return false
    } catch (error) {
      expect(error).toMatchObject(fenced)
      return true
    }
  })
}

test("a daemon that was stopped past a takeover commits nothing, says so everywhere, and comes back as the other left it", async () => {
  const [first, early] = await start(0)
  await early.set(KEY, bytes("one"))
  await early.snapshot(1)
  expect(await health(first.grpc)).toBe(ServingStatus.SERVING)
  expect(await metric(first, "varve_owner_fenced")).toEqual(["0", "0"])
  process.kill(first.pid, "SIGSTOP")

  const [second, late] = await start(1)
  expect(await read(late)).toBe("one")
  await late.set(KEY, bytes("two"))
  await late.snapshot(2)
  process.kill(first.pid, "SIGCONT")

  // It does not know yet: what it acknowledges now is in no version.
  await early.set(KEY, bytes("stale"))
  await expect(early.snapshot(2)).rejects.toMatchObject(fenced)
  await expect(early.snapshot(3)).rejects.toMatchObject(fenced)
  await expect(early.set(KEY, bytes("stale"))).rejects.toMatchObject(fenced)
  await expect(read(early)).rejects.toMatchObject(fenced)
  await expect(early.restore({ version: 1n })).rejects.toMatchObject(fenced)
  await expect(early.deleteSnapshot(2)).rejects.toMatchObject(fenced)

  const { stores } = await early.describe()
  expect(stores[0]!.partitions.map((each) => [each.ownerEpoch, each.fenced])).toEqual([
    [1n, true],
    [1n, true],
  ])
  expect(await metric(first, "varve_owner_fenced")).toEqual(["1", "1"])
  expect(await metric(second, "varve_owner_epoch")).toEqual(["2", "2"])
  expect(await health(first.grpc)).toBe(ServingStatus.NOT_SERVING)
  expect((await fetch(`${first.http}/readyz`)).status).toBe(503)
  expect((await fetch(`${second.http}/readyz`)).status).toBe(200)
  const line = first.log.find(({ event }) => event === "partition-fenced")
  expect(line?.level).toBe("error")

  // Both see the winner's versions alone, and the winner goes on.
  for (const client of [early, late]) expect(await versionsOf(client)).toEqual([1, 2])
  expect(await read(late)).toBe("two")
  await late.snapshot(3)

  // Started anew it takes the partitions back, with the other's last version, not with what it had itself.
  await first.kill("SIGTERM")
  const [, back] = known(await first.restart())
  expect(await read(back)).toBe("two")
  expect(
    (await back.describe()).stores[0]!.partitions.map((each) => [each.ownerEpoch, each.recovery]),
  ).toEqual([
    [3n, "restored"],
    [3n, "restored"],
  ])
  // The other one takes no snapshots, and notices all the same.
  await untilFenced(late)
  await back.snapshot(4)
  expect(await versionsOf(back)).toEqual([1, 2, 3, 4])
})
