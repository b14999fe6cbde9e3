// What is there after a stop, a crash, or in a new place. Daemons take a second to start: what can share one does, each
// in a store of its own.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { engineNames } from "@varve/engines"
import { type DescribeResponse, partitionOfKey, UNSEQUENCED } from "@varve/proto"
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, failsWith, RawClient, writes } from "./raw-client.ts"

const PARTITIONS = 4
const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`)

async function fill(client: RawClient, store: string, value: string): Promise<void> {
  const frames = Array.from({ length: PARTITIONS }, (_, partition) => {
    const own = keys.filter((key) => partitionOfKey(bytes(key), PARTITIONS) === partition)
    return { store, partition, work: writes(...own.map((key) => [key, value] as const)) }
  })
  for (const { result } of await client.pipeline(frames)) strictEqual(result?.$case, "written")
}

async function contents(client: RawClient, store: string): Promise<Set<string>> {
  const values = await client.getMany(keys.map(bytes), { store })
  return new Set(values.map((value) => (value === undefined ? "none" : Buffer.from(value).toString())))
}

type Partitions = DescribeResponse["stores"][number]["partitions"]

async function partitionsOf(client: RawClient, store: string): Promise<Partitions> {
  return (await client.describe(store)).stores[0]!.partitions
}

/** Daemons on one directory, one after the other, with these stores. */
class Lives {
  readonly #stores: Readonly<Record<string, string>>
  #configDirectory = ""
  flags: readonly string[] = []
  daemon!: TestDaemon
  client!: RawClient

  /** @param stores engines by name */
  constructor(stores: Readonly<Record<string, string>>) {
    this.#stores = stores
  }

  async start(): Promise<void> {
    this.#configDirectory = await mkdtemp(join(tmpdir(), "varve-recovery-"))
    const entries = Object.entries(this.#stores).map(([name, engine]) => [
      name,
      { engine, partitions: PARTITIONS },
    ])
    const config = join(this.#configDirectory, "varve.yaml")
    await writeFile(config, JSON.stringify({ stores: Object.fromEntries(entries) }))
    this.flags = ["--config", config]
    this.daemon = await startDaemon({ flags: this.flags })
    this.client = new RawClient(this.daemon.grpc)
  }

  /** The next one; this one must be gone. */
  async restart(): Promise<void> {
    this.client.close()
    this.daemon = await this.daemon.restart()
    this.client = new RawClient(this.daemon.grpc)
  }

  async end(): Promise<void> {
    this.client?.close()
    await this.daemon?.stop()
    await rm(this.#configDirectory, { recursive: true, force: true })
  }
}

const byEngine = Object.fromEntries(engineNames.map((name) => [name, name]))

describe("after SIGTERM", () => {
  const lives = new Lives({ default: "hybrid-log", ...byEngine })
  const before = new Map<string, Partitions>()
  let stopMs = 0
  let exitCode: number | null = null
  const refusals: string[] = []

  /** What a start with other flags says; it must fail. */
  async function refusal(...flags: string[]): Promise<string> {
    const started = lives.daemon.restart({ flags: [...lives.flags, ...flags] })
    return started.then(
      async (daemon) => `started: ${await daemon.kill("SIGKILL")}`,
      (error: Error) => error.message,
    )
  }

  beforeAll(async () => {
    await lives.start()
    for (const engine of engineNames) {
      await fill(lives.client, engine, "at 1")
      await lives.client.snapshot(1, { store: engine })
      await fill(lives.client, engine, "after 1")
      before.set(engine, await partitionsOf(lives.client, engine))
    }
    await fill(lives.client, "default", "untouched")
    const stream = lives.client.stub.pipeline()
    stream.on("error", () => undefined)
    stream.on("data", () => undefined)
    stream.write({ id: 0, store: "", partition: 0, lineage: "", ...UNSEQUENCED, work: undefined })
    const startedMs = performance.now()
    exitCode = await lives.daemon.kill("SIGTERM")
    stopMs = performance.now() - startedMs
    refusals.push(await refusal("--partitions", "8"), await refusal("--engine", "memory"))
    await lives.restart()
  })
  afterAll(() => lives.end())

  test("the daemon has ended with 0 and within its time, although a stream was open", () => {
    strictEqual(exitCode, 0)
    ok(stopMs < 10_000, `stopped after ${stopMs} ms`)
  })

  test.each(engineNames)("%s: everything is there, also what no snapshot has", async (engine) => {
    deepStrictEqual(await contents(lives.client, engine), new Set(["after 1"]))
    const after = await partitionsOf(lives.client, engine)
    deepStrictEqual(
      after.map(({ recovery, lineage }) => [recovery, lineage]),
      before.get(engine)!.map(({ lineage }) => ["continued", lineage]),
    )
    await lives.client.snapshot(2, { store: engine })
    ok(lives.daemon.log.some(({ event, store }) => event === "store-continued" && store === engine))
  })

  test("a changed partition count is refused, and another engine; nothing is touched", async () => {
    for (const [index, name] of ["partitions", "engine"].entries()) {
      const message = refusals[index]!
      ok(message.includes("ended with code 2") && message.includes(`stores.default.${name}`), message)
    }
    deepStrictEqual(await contents(lives.client, "default"), new Set(["untouched"]))
    await failsWith("SNAPSHOT_NOT_FOUND", lives.client.restore({}))
  })
})

describe("after kill -9", () => {
  const lives = new Lives({
    ...byEngine,
    between: "hybrid-log",
    "no-version": "hybrid-log",
    "rolled-back": "hybrid-log",
  })
  const before = new Map<string, Partitions>()

  beforeAll(async () => {
    await lives.start()
    const { client } = lives
    for (const store of engineNames) {
      await fill(client, store, "at 1")
      await client.snapshot(1, { store, metadata: bytes("offset 1") })
      await fill(client, store, "at 2")
      await client.snapshot(2, { store, metadata: bytes("offset 2") })
      await fill(client, store, "at 3")
      // Version 3 is not complete: one partition has not committed it.
      await client.snapshot(3, { store, partitions: [0, 1, 2] })
      await fill(client, store, "after 3")
      before.set(store, await partitionsOf(client, store))
    }
    await client.snapshot(1, { store: "between" })
    await client.snapshot(2, { store: "between", partitions: [0] })
    await fill(client, "no-version", "never kept")
    await fill(client, "rolled-back", "good")
    await client.snapshot(1, { store: "rolled-back" })
    await fill(client, "rolled-back", "bad")
    await client.snapshot(2, { store: "rolled-back" })
    await client.restore({ store: "rolled-back", version: 1n })
    strictEqual(await lives.daemon.kill("SIGKILL"), null)
    await lives.restart()
  })
  afterAll(() => lives.end())

  test.each(engineNames)("%s: the newest complete version is served, never a mixture", async (store) => {
    deepStrictEqual(await contents(lives.client, store), new Set(["at 2"]))
    const after = await partitionsOf(lives.client, store)
    for (const [index, partition] of after.entries()) {
      strictEqual(partition.recovery, "restored")
      strictEqual(partition.version, 2n)
      deepStrictEqual(Buffer.from(partition.metadata), bytes("offset 2"))
      ok(partition.lineage !== before.get(store)![index]!.lineage)
    }
    ok(
      lives.daemon.log.some(
        (line) =>
          line.event === "store-restored" &&
          line["store"] === store &&
          line.message.includes("after a crash"),
      ),
    )
    // A worker that must not go on after a rollback learns of it.
    const partition = partitionOfKey(bytes("w"), PARTITIONS)
    const { lineage } = before.get(store)![partition]!
    const [answer] = await lives.client.pipeline([{ store, partition, work: writes(["w", "1"]), lineage }])
    ok(answer!.result?.$case === "error" && answer!.result.value.reason === "STATE_REPLACED")
  })

  test("a store that crashed between partitions makes its next version complete", async () => {
    const made = await lives.client.snapshot(2, { store: "between" })
    strictEqual(made.complete, true)
    strictEqual((await lives.client.restore({ store: "between" })).version, 2n)
  })

  test("a store without any version is empty, and the log says so", async () => {
    deepStrictEqual(await contents(lives.client, "no-version"), new Set(["none"]))
    const lost = lives.daemon.log.filter(({ event }) => event === "store-lost")
    deepStrictEqual(
      lost.map(({ level, store }) => [level, store]),
      [["error", "no-version"]],
    )
    const partitions = await partitionsOf(lives.client, "no-version")
    ok(partitions.every(({ recovery }) => recovery === "lost"))
    strictEqual((await lives.client.snapshot(1, { store: "no-version" })).complete, true)
  })

  test("a version that was rolled back does not come back", async () => {
    deepStrictEqual(await contents(lives.client, "rolled-back"), new Set(["good"]))
  })
})

/** A daemon and a client that go with the test. */
async function started(flags: readonly string[] = []): Promise<{ daemon: TestDaemon; client: RawClient }> {
  const daemon = await startDaemon({ flags })
  const client = new RawClient(daemon.grpc)
  onTestFinished(async () => {
    client.close()
    await daemon.stop()
  })
  return { daemon, client }
}

test("a new directory takes its state from the repository", async () => {
  const repository = await mkdtemp(join(tmpdir(), "varve-repository-"))
  onTestFinished(() => rm(repository, { recursive: true, force: true }))
  const flags = ["--repository", `file:${repository}`]
  const { client } = await started(flags)
  await fill(client, "", "moved")
  await client.snapshot(5)
  const elsewhere = await started(flags)
  deepStrictEqual(await contents(elsewhere.client, ""), new Set(["moved"]))
  strictEqual((await partitionsOf(elsewhere.client, ""))[0]!.version, 5n)
})

test("a stop that cannot keep everything says so, and its exit code too", async () => {
  const { daemon, client } = await started()
  await fill(client, "", "nowhere to go")
  await rm(join(daemon.directory, "data", "stores"), { recursive: true })
  strictEqual(await daemon.kill("SIGTERM"), 70)
  const events = daemon.log.map(({ event }) => event)
  ok(events.includes("stop-failed"), events.join(" "))
  ok(!events.includes("start-failed") && !events.includes("stopped"), events.join(" "))
})

test("a second signal ends the process at once", async () => {
  const { daemon, client } = await started()
  const stream = client.stub.pipeline()
  stream.on("error", () => undefined)
  stream.write({ id: 0, store: "", partition: 0, lineage: "", ...UNSEQUENCED, work: undefined })
  await client.describe()
  process.kill(daemon.pid, "SIGTERM")
  await expect.poll(() => daemon.log.some(({ event }) => event === "stopping"), { timeout: 5000 }).toBe(true)
  strictEqual(await daemon.kill("SIGTERM"), 70)
})
