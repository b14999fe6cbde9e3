// Several stores on several shards, and the ways in which a shard ends that are no error of its own code: it hangs, its
// heap is full, the daemon stops while it is being started again. The others go on, and what was acknowledged is there.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { test } from "vitest"
import { startDaemon } from "./daemon.ts"
import { health, ServingStatus } from "./health.ts"
import { bytes, RawClient } from "./raw-client.ts"
import { ShardedDaemon } from "./sharded-daemon.ts"
import { until } from "./until.ts"

const SHARDS = 3
/** Partitions by store: one less than shards, and more. */
const PARTITIONS = { default: 4, marks: 2 } as const
const settings = {
  shardHangSeconds: 2,
  ownerCheckSeconds: 1,
  stores: {
    default: { partitions: PARTITIONS.default, durability: "log" },
    marks: { partitions: PARTITIONS.marks, durability: "log", engine: "lsm-tree" },
  },
}

type StoreName = keyof typeof PARTITIONS

/** Writes one key on each partition of each store, through the port of shard 0. */
class Rounds {
  readonly #daemon: ShardedDaemon
  readonly #raw: RawClient
  readonly #written: Record<StoreName, string[]> = { default: [], marks: [] }

  constructor(daemon: ShardedDaemon, raw: RawClient) {
    this.#daemon = daemon
    this.#raw = raw
  }

  /** @param shards on whose partitions is written */
  async write(round: string, shards: readonly number[]): Promise<void> {
    for (const store of ["default", "marks"] as const) {
      for (let partition = 0; partition < PARTITIONS[store]; partition++) {
        if (!shards.includes(partition % SHARDS)) continue
        const key = this.#daemon.keyOn(partition, round, PARTITIONS[store])
        await this.#raw.set(bytes(key), bytes(`of ${store}`), { store })
        this.#written[store].push(key)
      }
    }
  }

  async areAllThere(raw = this.#raw): Promise<void> {
    for (const store of ["default", "marks"] as const) {
      const keys = this.#written[store]
      const values = await raw.getMany(keys.map(bytes), { store })
      deepStrictEqual(
        values,
        keys.map(() => bytes(`of ${store}`)),
      )
    }
  }
}

test("shards: one that hangs is ended, one whose heap is full dies; both come back with all stores, the others go on", async () => {
  // The heaps of all threads, so that one is full soon.
  const daemon = await ShardedDaemon.start(
    SHARDS,
    PARTITIONS.default,
    [],
    settings,
    "--max-old-space-size=96",
  )
  const raw = new RawClient(daemon.addresses[0]!)
  const rounds = new Rounds(daemon, raw)
  try {
    const { stores } = await raw.describe()
    for (const { name, partitions } of stores) {
      strictEqual(partitions.length, PARTITIONS[name as StoreName])
      for (const { partition, address } of partitions) {
        strictEqual(address, daemon.addresses[partition % SHARDS], `${name}/${partition}`)
      }
    }
    await rounds.write("at first", [0, 1, 2])
    strictEqual((await raw.snapshot(1, { store: "marks" })).complete, true)

    await daemon.hang(1)
    await rounds.write("while one hangs", [0, 2])
    await daemon.logged("shard-hangs")
    await daemon.logged("shard-restarted")
    await rounds.write("after it hung", [0, 1, 2])
    await rounds.areAllThere()

    const restarts = daemon.daemon.log.filter(({ event }) => event === "shard-restarted").length
    await daemon.fillHeap(2)
    await daemon.logged("shard-restarted", restarts + 1)
    await rounds.write("after its heap was full", [0, 1, 2])
    await rounds.areAllThere()
    const deaths = daemon.daemon.log.filter(({ event }) => event === "shard-died")
    const causes = JSON.stringify(deaths)
    ok(causes.includes("has not turned") && causes.includes("ERR_WORKER_OUT_OF_MEMORY"), causes)
    await areUnhealthyTogether(daemon, raw)
  } finally {
    raw.close()
    await daemon.stop()
  }
})

test("shards: a stop waits for no shard that is being started again; with a log everything is kept", async () => {
  const daemon = await ShardedDaemon.start(SHARDS, PARTITIONS.default, [], settings)
  const raw = new RawClient(daemon.addresses[0]!)
  const rounds = new Rounds(daemon, raw)
  try {
    await rounds.write("before the stop", [0, 1, 2])
    await daemon.killForGood(1)
    strictEqual(await daemon.daemon.kill("SIGTERM"), 0, JSON.stringify(daemon.daemon.log, undefined, 1))
    const again = await daemon.daemon.restart()
    const client = new RawClient(again.grpc)
    try {
      await rounds.areAllThere(client)
    } finally {
      client.close()
      await again.kill("SIGKILL")
    }
  } finally {
    raw.close()
    await daemon.stop()
  }
})

/** Another daemon takes the store marks, which has nothing on the last shard: its health says so, too. */
async function areUnhealthyTogether(daemon: ShardedDaemon, raw: RawClient): Promise<void> {
  for (const address of daemon.addresses) strictEqual(await health(address), ServingStatus.SERVING)
  const { repository } = daemon.daemon.log.find(({ event }) => event === "ready")!
  const config = join(daemon.daemon.directory, "marks.yaml")
  await writeFile(config, JSON.stringify({ stores: { marks: settings.stores.marks } }))
  const other = await startDaemon({ flags: ["--repository", String(repository), "--config", config] })
  try {
    await daemon.logged("partition-fenced")
    for (const address of daemon.addresses) {
      await until("NOT_SERVING", async () => (await health(address)) === ServingStatus.NOT_SERVING)
    }
    await raw.set(bytes(daemon.keyOn(2, "its own")), bytes("is taken all the same"))
  } finally {
    await other.stop()
  }
}
