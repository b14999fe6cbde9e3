// A real daemon of several shards whose threads a test can kill and stall, from outside.

import { strictEqual } from "node:assert"
import { once } from "node:events"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { connect as connectSocket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { partitionOfKey } from "@varve/proto"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, RawClient } from "./raw-client.ts"
import { until } from "./until.ts"

const consoleModule = new URL("./shard-console.mjs", import.meta.url)

export class ShardedDaemon {
  readonly daemon: TestDaemon
  /** Where the shards listen, by number. */
  readonly addresses: readonly string[]
  readonly partitionCount: number
  readonly #console: string

  private constructor(
    daemon: TestDaemon,
    addresses: readonly string[],
    partitionCount: number,
    path: string,
  ) {
    this.daemon = daemon
    this.addresses = addresses
    this.partitionCount = partitionCount
    this.#console = path
  }

  /**
   * Of the partitions of the store default, at least one lies on each shard.
   * @param settings of the file that `--config` names
   */
  static async start(
    shards: number,
    partitionCount: number,
    flags: readonly string[] = [],
    settings: object = {},
    nodeOptions = "",
  ): Promise<ShardedDaemon> {
    const directory = await mkdtemp(join(tmpdir(), "varve-shards-"))
    const config = join(directory, "varve.yaml")
    await writeFile(config, JSON.stringify(settings))
    const path = join(directory, "console")
    const daemon = await startDaemon({
      directory,
      flags: [
        ...["--config", config, "--shards", String(shards), "--partitions", String(partitionCount)],
        ...flags,
      ],
      environment: {
        NODE_OPTIONS: `--import ${fileURLToPath(consoleModule)} ${nodeOptions}`,
        SHARD_CONSOLE: path,
      },
    }).catch(async (error: unknown) => {
      await rm(directory, { recursive: true, force: true })
      throw error
    })
    const client = new RawClient(daemon.grpc)
    try {
      const { stores } = await client.describe()
      const addresses = stores[0]!.partitions.slice(0, shards).map(({ address }) => address)
      return new ShardedDaemon(daemon, addresses, partitionCount, path)
    } finally {
      client.close()
    }
  }

  /** Begins to run `code` in the thread of a shard, or in the one that comes after it. */
  async runIn(shard: number, code: string, next = false): Promise<void> {
    const socket = connectSocket({ path: this.#console })
    socket.setEncoding("utf8")
    socket.write(`${JSON.stringify({ shard, code, next })}\n`)
    const [answer] = (await once(socket, "data")) as [string]
    strictEqual(answer, "done")
    socket.destroy()
  }

  /** Ends the thread of a shard by an error that nobody catches. */
  kill(shard: number): Promise<void> {
    return this.runIn(shard, `setImmediate(() => { throw new Error("poisoned by a test") })`)
  }

  /** The thread of a shard does not turn its event loop any more. */
  hang(shard: number): Promise<void> {
    return this.runIn(shard, "for (;;);")
  }

  /** Kills the thread of a shard; resolves when the next one hangs before it can serve. */
  async killForGood(shard: number): Promise<void> {
    const caught = this.runIn(shard, "for (;;);", true)
    await this.kill(shard)
    await caught
  }

  /** The heap of a shard grows until there is no room. */
  fillHeap(shard: number): Promise<void> {
    return this.runIn(
      shard,
      "{ const all = []; setInterval(() => all.push(new Array(250_000).fill({})), 1) }",
    )
  }

  /** Keeps the thread of a shard busy until the returned function is called. */
  async occupy(shard: number): Promise<() => Promise<void>> {
    const path = join(this.daemon.directory, `busy-${shard}`)
    await writeFile(path, "")
    await this.runIn(
      shard,
      `{ const { existsSync } = process.getBuiltinModule("fs"); while (existsSync(${JSON.stringify(path)})); }`,
    )
    return () => rm(path)
  }

  /** The first key `PREFIX-N` that lies on a partition. */
  keyOn(partition: number, prefix: string, partitionCount = this.partitionCount): string {
    for (let count = 0; ; count++) {
      const key = `${prefix}-${count}`
      if (partitionOfKey(bytes(key), partitionCount) === partition) return key
    }
  }

  /** Resolves when the log has `count` lines of an event. @throws (rejects) with the log when they do not come */
  async logged(event: string, count = 1, log = this.daemon.log): Promise<void> {
    const lines = () => log.filter((line) => line.event === event)
    await until(
      event,
      () => lines().length >= count,
      () => [JSON.stringify(log, undefined, 1)],
    )
  }

  async stop(): Promise<void> {
    await this.daemon.stop()
    await rm(this.daemon.directory, { recursive: true, force: true })
  }
}
