// What is there after a stop, a crash, or in a new place.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { partitionOfKey } from "@varve/proto"
import { expect, onTestFinished, test } from "vitest"
import { type DaemonOptions, startDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, failsWith, RawClient, writes } from "./raw-client.ts"

const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`)

async function fill(client: RawClient, value: string): Promise<void> {
  for (const key of keys) await client.set(bytes(key), bytes(value))
}

async function contents(client: RawClient): Promise<Set<string>> {
  const values = await client.getMany(keys.map(bytes))
  return new Set(values.map((value) => (value === undefined ? "none" : Buffer.from(value).toString())))
}

/** A daemon and a client that go with the test. */
async function started(daemon: TestDaemon): Promise<RawClient> {
  const client = new RawClient(daemon.grpc)
  onTestFinished(async () => {
    client.close()
    await daemon.stop()
  })
  return client
}

async function first(options: DaemonOptions = {}): Promise<{ daemon: TestDaemon; client: RawClient }> {
  const daemon = await startDaemon(options)
  return { daemon, client: await started(daemon) }
}

async function again(
  daemon: TestDaemon,
  options: DaemonOptions = {},
): Promise<{ daemon: TestDaemon; client: RawClient }> {
  const next = await daemon.restart(options)
  return { daemon: next, client: await started(next) }
}

test.each(["hybrid-log", "memory"])(
  "%s: SIGTERM keeps everything, also what no snapshot has",
  async (engine) => {
    const { daemon, client } = await first({ flags: ["--engine", engine] })
    await fill(client, "at 1")
    await client.snapshot(1)
    await fill(client, "after 1")
    const before = (await client.describe()).stores[0]!.partitions
    strictEqual(await daemon.kill("SIGTERM"), 0)
    const next = await again(daemon)
    deepStrictEqual(await contents(next.client), new Set(["after 1"]))
    const after = (await next.client.describe()).stores[0]!.partitions
    deepStrictEqual(
      after.map(({ recovery, lineage }) => [recovery, lineage]),
      before.map(({ lineage }) => ["continued", lineage]),
    )
    await next.client.snapshot(2)
    ok(next.daemon.log.some(({ event }) => event === "store-continued"))
  },
)

test.each(["hybrid-log", "memory"])(
  "%s: after kill -9 the newest complete version is served, never a mixture",
  async (engine) => {
    const { daemon, client } = await first({ flags: ["--engine", engine] })
    await fill(client, "at 1")
    await client.snapshot(1, { metadata: bytes("offset 1") })
    await fill(client, "at 2")
    await client.snapshot(2, { metadata: bytes("offset 2") })
    await fill(client, "at 3")
    // Version 3 is not complete: one partition has not committed it.
    await client.snapshot(3, { partitions: [0, 1, 2] })
    await fill(client, "after 3")
    const before = (await client.describe()).stores[0]!.partitions
    strictEqual(await daemon.kill("SIGKILL"), null)

    const next = await again(daemon)
    deepStrictEqual(await contents(next.client), new Set(["at 2"]))
    const after = (await next.client.describe()).stores[0]!.partitions
    for (const [index, partition] of after.entries()) {
      strictEqual(partition.recovery, "restored")
      strictEqual(partition.version, 2n)
      deepStrictEqual(Buffer.from(partition.metadata), bytes("offset 2"))
      ok(partition.lineage !== before[index]!.lineage)
    }
    ok(
      next.daemon.log.some(
        ({ event, message }) => event === "store-restored" && message.includes("after a crash"),
      ),
    )
    // A worker that must not go on after a rollback learns of it.
    const partition = partitionOfKey(bytes("w"), 4)
    const [answer] = await next.client.pipeline([
      { partition, work: writes(["w", "1"]), lineage: before[partition]!.lineage },
    ])
    ok(answer!.result?.$case === "error" && answer!.result.value.reason === "STATE_REPLACED")
  },
)

test("after a crash between partitions the next version is complete again", async () => {
  const { daemon, client } = await first()
  await client.snapshot(1)
  await client.snapshot(2, { partitions: [0] })
  await daemon.kill("SIGKILL")
  const next = await again(daemon)
  const made = await next.client.snapshot(2)
  strictEqual(made.complete, true)
  strictEqual((await next.client.restore({})).version, 2n)
})

test("after a crash without any version the store is empty and the log says so", async () => {
  const { daemon, client } = await first()
  await fill(client, "never kept")
  await daemon.kill("SIGKILL")
  const next = await again(daemon)
  deepStrictEqual(await contents(next.client), new Set(["none"]))
  ok(next.daemon.log.some(({ event, level }) => event === "store-lost" && level === "error"))
  const { partitions } = (await next.client.describe()).stores[0]!
  ok(partitions.every(({ recovery }) => recovery === "lost"))
  strictEqual((await next.client.snapshot(1)).complete, true)
})

test("a new directory takes its state from the repository", async () => {
  const repository = await mkdtemp(join(tmpdir(), "varve-repository-"))
  onTestFinished(() => rm(repository, { recursive: true, force: true }))
  const flags = ["--repository", `file:${repository}`]
  const { client } = await first({ flags })
  await fill(client, "moved")
  await client.snapshot(5)
  const elsewhere = await first({ flags })
  deepStrictEqual(await contents(elsewhere.client), new Set(["moved"]))
  strictEqual((await elsewhere.client.describe()).stores[0]!.partitions[0]!.version, 5n)
})

test("a version that was rolled back does not come back by a crash", async () => {
  const { daemon, client } = await first()
  await fill(client, "good")
  await client.snapshot(1)
  await fill(client, "bad")
  await client.snapshot(2)
  await client.restore({ version: 1n })
  await daemon.kill("SIGKILL")
  const next = await again(daemon)
  deepStrictEqual(await contents(next.client), new Set(["good"]))
})

test("a stop lets calls finish and refuses new ones; the state is kept", async () => {
  const { daemon, client } = await first()
  await fill(client, "kept")
  const stream = client.stub.pipeline()
  stream.on("error", () => undefined)
  stream.on("data", () => undefined)
  stream.write({ id: 0, store: "", partition: 0, lineage: "", work: undefined })
  const startedMs = performance.now()
  strictEqual(await daemon.kill("SIGTERM"), 0)
  const seconds = (performance.now() - startedMs) / 1000
  ok(seconds < 10, `stopped after ${seconds} s with an open stream`)
  const next = await again(daemon)
  deepStrictEqual(await contents(next.client), new Set(["kept"]))
})

test("a stop that cannot keep everything says so, and its exit code too", async () => {
  const { daemon, client } = await first()
  await fill(client, "nowhere to go")
  await rm(join(daemon.directory, "data", "stores"), { recursive: true })
  strictEqual(await daemon.kill("SIGTERM"), 70)
  const events = daemon.log.map(({ event }) => event)
  ok(events.includes("stop-failed"), events.join(" "))
  ok(!events.includes("start-failed") && !events.includes("stopped"), events.join(" "))
})

test("a second signal ends the process at once", async () => {
  const { daemon, client } = await first()
  const stream = client.stub.pipeline()
  stream.on("error", () => undefined)
  stream.write({ id: 0, store: "", partition: 0, lineage: "", work: undefined })
  await client.describe()
  process.kill(daemon.pid, "SIGTERM")
  await expect.poll(() => daemon.log.some(({ event }) => event === "stopping"), { timeout: 5000 }).toBe(true)
  strictEqual(await daemon.kill("SIGTERM"), 70)
})

test("a changed partition count is refused, and nothing is touched", async () => {
  const { daemon, client } = await first()
  await fill(client, "untouched")
  await daemon.kill("SIGTERM")
  await failsToStart(daemon, ["--partitions", "8"], "stores.default.partitions")
  await failsToStart(daemon, ["--engine", "memory"], "stores.default.engine")
  const next = await again(daemon)
  deepStrictEqual(await contents(next.client), new Set(["untouched"]))
  await failsWith("SNAPSHOT_NOT_FOUND", next.client.restore({}))
})

async function failsToStart(daemon: TestDaemon, flags: readonly string[], names: string): Promise<void> {
  let message = ""
  await daemon.restart({ flags }).catch((error: Error) => {
    message = error.message
  })
  ok(message.includes("ended with code 2") && message.includes(names), message)
}
