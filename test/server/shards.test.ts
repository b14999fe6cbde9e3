// Several shards: every port answers for every key, and what happens to one shard is nothing to the partitions of
// the others. The calls of the contract through a foreign port are in calls.test.ts.

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert"
import { rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { connect, type State } from "@varve/client"
import { afterAll, beforeAll, test } from "vitest"
import { countedSamples, noLessThan } from "./counted-samples.ts"
import type { TestDaemon } from "./daemon.ts"
import { bytes, RawClient } from "./raw-client.ts"
import { ShardedDaemon } from "./sharded-daemon.ts"

const SHARDS = 3
const PARTITIONS = 4

/** Without a log; the tests use it in turn, and the last one stops it. */
let shared: ShardedDaemon
beforeAll(async () => {
  shared = await ShardedDaemon.start(SHARDS, PARTITIONS)
})
afterAll(async () => {
  await shared.stop()
})

/** Lines of the shared daemon's log so far. */
function lines(event: string): number {
  return shared.daemon.log.filter((line) => line.event === event).length
}

async function metrics(daemon: TestDaemon): Promise<string> {
  return await (await fetch(`${daemon.http}/metrics`)).text()
}

/** Writes one key after the other on a partition until it is told to stop; says which were acknowledged. */
class Writer {
  readonly acknowledged: string[] = []
  readonly errors: unknown[] = []
  readonly #state: State
  #isStopped = false
  readonly #done: Promise<void>

  constructor(daemon: ShardedDaemon, partition: number) {
    this.#state = connect(daemon.daemon.grpc)
    this.#done = this.#run(daemon, partition)
  }

  /** Resolves when `count` further writes were acknowledged. */
  async progress(count: number): Promise<void> {
    const aim = this.acknowledged.length + count
    while (this.acknowledged.length < aim) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#done
    await this.#state.close()
  }

  async #run(daemon: ShardedDaemon, partition: number): Promise<void> {
    for (let count = 0; !this.#isStopped; count++) {
      const key = daemon.keyOn(partition, `written-${count}`)
      try {
        await this.#state.set(key, `value of ${key}`)
        this.acknowledged.push(key)
      } catch (error) {
        this.errors.push(error)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
  }
}

test("shards: each has an address, the client goes there, figures of all are on one page, and never less; one that is busy holds up nobody else", async () => {
  const { daemon, addresses } = shared
  strictEqual(new Set(addresses).size, SHARDS)
  strictEqual(addresses[0], daemon.grpc)
  const state = connect(addresses[2]!)
  try {
    const keys = Array.from({ length: 60 }, (_, count) => `key-${count}`)
    await Promise.all(keys.map((key) => state.set(key, `of ${key}`)))
    const scanned: string[] = []
    for await (const { key } of state.scan({ prefix: "key-" })) scanned.push(key.toString())
    deepStrictEqual(scanned.sort(), keys.sort())
    const some: unknown[] = []
    for await (const record of state.scan({ prefix: "key-", limit: 40 })) some.push(record)
    strictEqual(some.length, 40)
  } finally {
    await state.close()
  }
  const page = await metrics(daemon)
  // Each frame and each scan went to the shard of its partition.
  ok(page.includes("varve_forwarded_calls_total 0"), page)
  for (let shard = 0; shard < SHARDS; shard++) {
    ok(page.includes(`varve_shard_up{shard="${shard}"} 1`), page)
    ok(page.includes(`varve_thread_heap_bytes{thread="shard-${shard}"}`))
  }
  // What every shard has its own part of is summed: the setting comes out again.
  const budget = /^varve_block_cache_limit_bytes (\d+)$/m.exec(page)?.[1]
  // Each takes whole blocks.
  ok(Math.abs(Number(budget) / (64 * 1024 * 1024) - 1) < 0.01, budget)
  for (let partition = 0; partition < PARTITIONS; partition++) {
    ok(page.includes(`varve_records{store="default",partition="${partition}"}`), page)
  }
  await isHeldUpAlone(shared)
})

test("shards: one that dies is started again; others never fail; with a log no acknowledged write is lost", async () => {
  const daemon = await ShardedDaemon.start(SHARDS, PARTITIONS, ["--durability", "log"])
  try {
    const writers = Array.from({ length: PARTITIONS }, (_, partition) => new Writer(daemon, partition))
    // The only one on its shard: partitions 0 and 3 share the first one.
    const dead = 1
    const raw = new RawClient(daemon.addresses[0]!)
    try {
      await Promise.all(writers.map((writer) => writer.progress(10)))
      for (let round = 1; round <= 2; round++) {
        await daemon.kill(dead)
        await daemon.logged("shard-died", round)
        for (const [partition, writer] of writers.entries()) if (partition !== dead) await writer.progress(5)
        await daemon.logged("shard-restarted", round)
        await writers[dead]!.progress(5)
      }
    } finally {
      for (const writer of writers) await writer.stop()
    }
    try {
      for (const [partition, { errors, acknowledged }] of writers.entries()) {
        // A write that was on its way when its shard died has an unknown fate, which is said.
        const reasons = new Set(errors.map((error) => (error as { reason: string }).reason))
        if (partition !== dead) deepStrictEqual(reasons, new Set())
        else for (const reason of reasons) strictEqual(reason, "CONNECTION_LOST")
        const values = await raw.getMany(acknowledged.map(bytes))
        deepStrictEqual(
          values,
          acknowledged.map((key) => bytes(`value of ${key}`)),
        )
      }
      strictEqual((await fetch(`${daemon.daemon.http}/readyz`)).status, 200)
      const { stores } = await raw.describe()
      deepStrictEqual(
        stores[0]!.partitions.map(({ recovery }) => recovery),
        ["new", "replayed", "new", "new"],
      )
    } finally {
      raw.close()
    }
  } finally {
    await daemon.stop()
  }
})

test("shards: without a log the partitions of a dead shard go back to their newest version, alone", async () => {
  const daemon = shared
  const raw = new RawClient(daemon.addresses[0]!)
  try {
    const keys = [0, 1, 2, 3].map((partition) => daemon.keyOn(partition, "kept"))
    const lost = [0, 1, 2, 3].map((partition) => daemon.keyOn(partition, "late"))
    for (const key of keys) await raw.set(bytes(key), bytes("in version 5"))
    strictEqual((await raw.snapshot(5)).complete, true)
    for (const key of lost) await raw.set(bytes(key), bytes("after it"))
    const before = (await raw.describe()).stores[0]!.partitions.map(({ lineage }) => lineage)
    const restarts = lines("shard-restarted")
    const counted = await countedSamples(daemon.daemon.http)
    await daemon.kill(1)
    await daemon.logged("shard-restarted", restarts + 1)
    noLessThan(counted, await countedSamples(daemon.daemon.http))
    const values = await raw.getMany([...keys, ...lost].map(bytes))
    const late = (partition: number): Uint8Array | undefined =>
      partition === 1 ? undefined : bytes("after it")
    deepStrictEqual(values, [...keys.map(() => bytes("in version 5")), ...[0, 1, 2, 3].map(late)])
    const { partitions } = (await raw.describe()).stores[0]!
    deepStrictEqual(
      partitions.map(({ recovery, lineage }, at) => [recovery, lineage === before[at]]),
      [
        ["new", true],
        ["restored", false],
        ["new", true],
        ["new", true],
      ],
    )
    // Who says what it took the state for is not given another one: no version mixes the two.
    await rejects(raw.snapshot(6, { lineages: { 1: before[1]! } }), /STATE_REPLACED|was replaced/)
    strictEqual((await raw.restore({ version: 5n })).version, 5n)
    deepStrictEqual(await raw.getMany(lost.map(bytes)), [undefined, undefined, undefined, undefined])
    strictEqual((await raw.snapshot(6)).complete, true)
  } finally {
    raw.close()
  }
})

test("shards: two that die at once come back although nobody waits for them, and no version holds what they had not yet", async () => {
  const daemon = shared
  const raw = new RawClient(daemon.addresses[0]!)
  const keys = [0, 1, 2, 3].map((partition) => daemon.keyOn(partition, "kept"))
  for (const key of keys) await raw.set(bytes(key), bytes("v"))
  const deaths = lines("shard-died")
  const restarts = lines("shard-restarted")
  strictEqual((await raw.snapshot(11)).complete, true)
  let isOver = false
  let version = 11
  // Calls come while shards are dead, are being opened, and are brought to their state.
  const refused = new Set<string>()
  const hammer = async (call: () => Promise<unknown>): Promise<void> => {
    while (!isOver) {
      await call().catch((error: { reason: string }) => refused.add(error.reason))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
  const hammering = [
    hammer(() => raw.snapshot(++version)),
    hammer(() => raw.pinSnapshot(11, true)),
    hammer(() => raw.listSnapshots()),
  ]
  try {
    await Promise.all([daemon.kill(1), daemon.kill(2)])
    await daemon.logged("shard-restarted", restarts + 2)
  } finally {
    isOver = true
    await Promise.all(hammering)
  }
  try {
    strictEqual(lines("shard-died"), deaths + 2)
    for (const reason of refused) strictEqual(reason, "ENGINE_CLOSED")
    const last = (await raw.snapshot(++version)).version
    strictEqual((await raw.restore({ version: last })).version, last)
    deepStrictEqual(
      await raw.getMany(keys.map(bytes)),
      keys.map(() => bytes("v")),
    )
  } finally {
    raw.close()
  }
})

test("shards: a stop while one is dead does not say that everything is kept", async () => {
  const daemon = shared
  const directory = join(daemon.daemon.directory, "data", "stores", "default", "1")
  await rename(directory, `${directory}-away`)
  await writeFile(directory, "no directory: the shard cannot come back")
  const counted = await countedSamples(daemon.daemon.http)
  await daemon.kill(1)
  await daemon.logged("shard-restart-failed")
  noLessThan(counted, await countedSamples(daemon.daemon.http))
  strictEqual((await fetch(`${daemon.daemon.http}/readyz`)).status, 503)
  ok((await metrics(daemon.daemon)).includes('varve_shard_up{shard="1"} 0'))
  strictEqual(await daemon.daemon.kill("SIGTERM"), 70)
  await daemon.logged("stop-failed")
})

/** Shard 1 is busy, for as long as the others are asked: they answer, and it answers afterwards. */
async function isHeldUpAlone(daemon: ShardedDaemon): Promise<void> {
  const raw = new RawClient(daemon.addresses[0]!)
  const own = daemon.keyOn(0, "own")
  const foreign = daemon.keyOn(1, "foreign")
  const other = daemon.keyOn(2, "other")
  try {
    for (const key of [own, foreign, other]) await raw.set(bytes(key), bytes("v"))
    const counted = await countedSamples(daemon.daemon.http)
    // Busy until the test says so: no clock decides who was first.
    const release = await daemon.occupy(1)
    let isAnswered = false
    const late = raw.get(bytes(foreign)).then((value) => {
      isAnswered = true
      return value
    })
    for (let count = 0; count < 20; count++) {
      deepStrictEqual(await raw.getMany([own, other].map(bytes)), [bytes("v"), bytes("v")])
    }
    await raw.describe()
    noLessThan(counted, await countedSamples(daemon.daemon.http))
    const wasAnsweredBefore = isAnswered
    await release()
    deepStrictEqual(await late, bytes("v"))
    strictEqual(wasAnsweredBefore, false)
  } finally {
    raw.close()
  }
}
