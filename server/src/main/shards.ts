// The shards of a daemon: starts them, connects them with one another, and starts one again that has died.
//
//               open partitions        recovered              listening
//   start ────────────────────► open ────────────► recovered ──────────► up
//     ▲                                                                   │ died
//     └──────────────── pause, longer each time ◄─────────────────────────┘
//
// Partition p of every store lives on shard p mod N. A shard that comes back listens where it did before, so that
// clients that know its address find it there.

import { MessageChannel } from "node:worker_threads"
import { EngineError } from "@varve/engines"
import { releaseLockOfDeadThread } from "@varve/engines/internal"
import { VarveError } from "@varve/proto"
import { formatAddress, type ListenAddress, shardAddress } from "../config/address.ts"
import type { Settings } from "../config/settings.ts"
import { errorFields, type Log } from "../log.ts"
import { partitionDirectory } from "../shard/open-partition.ts"
import { RemoteEngine } from "../shard/remote-engine.ts"
import { ShardClient } from "../shard/shard-client.ts"
import type { AdministrativeCalls, PartitionName } from "../shard/shard-port.ts"
import { shardSettings } from "./shard-settings.ts"

const PAUSE_FIRST_MS = 100
const PAUSE_MAX_MS = 30_000
/** A shard that lived for so long has earned a short pause. */
const PAUSE_RESET_MS = 60_000

interface Slot {
  readonly index: number
  client: ShardClient
  /** Where it listens; the port is known after the first time. */
  address: ListenAddress
  isUp: boolean
  upSinceMs: number
  pauseMs: number
  restartCount: number
}

export interface ShardsHost {
  readonly settings: Settings
  readonly log: Log
  readonly administration: AdministrativeCalls
  /** The shard of these partitions is dead: their state is not known until `recover`. */
  lost(partitions: readonly PartitionName[]): void
  /** Brings these partitions to one state, after their shard has died. */
  recover(partitions: readonly PartitionName[]): Promise<void>
}

export class Shards {
  readonly #host: ShardsHost
  readonly #slots: Slot[] = []
  readonly #engines = new Map<string, RemoteEngine>()
  readonly #closing = new AbortController()
  readonly #supervised: Promise<void>[] = []
  #isServing = true

  constructor(host: ShardsHost) {
    this.#host = host
  }

  /** Starts all threads. @throws (rejects) what the first of them could not start for; none is left running */
  async start(): Promise<void> {
    const { settings } = this.#host
    const indexes = Array.from({ length: settings.shards }, (_, index) => index)
    const started = await Promise.allSettled(indexes.map((index) => this.#startThread(index)))
    for (const [index, each] of started.entries()) {
      if (each.status === "rejected") continue
      const address = shardAddress(settings.grpc, index)
      const times = { isUp: false, upSinceMs: 0, pauseMs: PAUSE_FIRST_MS, restartCount: 0 }
      this.#slots[index] = { index, client: each.value, address, ...times }
    }
    const failed = started.find((each) => each.status === "rejected")
    if (failed !== undefined) {
      await this.terminate()
      throw failed.reason
    }
    for (const { index } of this.#slots) this.#connect(index, index)
  }

  /** @throws (rejects) as `openEngine` */
  async openPartition(name: PartitionName): Promise<RemoteEngine> {
    const slot = this.#slotOf(name.partition)
    const standing = await slot.client.call("openPartition", name)
    const engine = new RemoteEngine(name, () => slot.client, standing)
    this.#engines.set(keyOf(name), engine)
    return engine
  }

  /** All shards take calls of clients, and are watched from now on. @throws (rejects) as `listen` */
  async serve(): Promise<void> {
    for (const slot of this.#slots) await this.#serve(slot)
    for (const slot of this.#slots) this.#supervised.push(this.#supervise(slot))
  }

  /** What health checks of all shards answer, also of one that comes back; calls are taken all the same. */
  async setServing(isServing: boolean): Promise<void> {
    this.#isServing = isServing
    // One that dies meanwhile hears of it when it is back.
    await Promise.allSettled(this.#up.map(({ client }) => client.call("setServing", isServing)))
  }

  /** Ids of packs that turned out to be damaged: no version relies on them any more, as far as its runs are here. */
  async distrust(packs: readonly string[]): Promise<void> {
    if (packs.length === 0) return
    // One that dies meanwhile hears of it with the next drill.
    await Promise.allSettled(this.#up.map(({ client }) => client.call("distrust", packs)))
  }

  /** Where clients reach the first shard. */
  get address(): ListenAddress {
    return this.#slots[0]!.address
  }

  get states(): { readonly index: number; readonly isUp: boolean; readonly restartCount: number }[] {
    return this.#slots.map(({ index, isUp, restartCount }) => ({ index, isUp, restartCount }))
  }

  /** Where a partition is reached without a detour. A wildcard goes out as it is: clients know by which name they came. */
  addressOf(partition: number): string {
    return formatAddress(this.#slotOf(partition).address)
  }

  /** Whether a partition is served. */
  isServed(partition: number): boolean {
    return this.#slotOf(partition).isUp
  }

  /** Brings the figures of all engines up to date; those of a shard that does not answer in time stay as they were. */
  async refresh(timeoutMs: number): Promise<void> {
    const answers = this.#up.map(async ({ client }) => {
      for (const { standing, ...name } of await client.call("standings", undefined, timeoutMs)) {
        const engine = this.#engines.get(keyOf(name))
        if (engine !== undefined) engine.standing = standing
      }
    })
    await Promise.allSettled(answers)
  }

  /** @throws (rejects) VarveError when a shard that is up does not answer in time */
  async ping(timeoutMs: number): Promise<void> {
    for (const { client } of this.#up) await client.call("standings", undefined, timeoutMs)
  }

  /** The figures of each thread that answers in time. */
  async metrics(timeoutMs: number) {
    const answers = await Promise.allSettled(
      this.#up.map(({ client }) => client.call("metrics", undefined, timeoutMs)),
    )
    return answers.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []))
  }

  /** No shard takes calls any more; those that run get `graceMs`. */
  async drain(graceMs: number, timeoutMs: number): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled(this.#alive.map(({ client }) => client.call("drain", { graceMs }, timeoutMs)))
  }

  /** Every engine keeps everything, and the threads end. @throws (rejects) when one could not be closed */
  async close(timeoutMs: number): Promise<void> {
    this.#closing.abort()
    const closed = await Promise.allSettled(
      this.#alive.map(async ({ client }) => {
        await client.call("close", undefined, timeoutMs)
        await client.ended
      }),
    )
    const lost = this.#slots.find((slot) => slot !== undefined && this.#hasLostWrites(slot))
    await this.terminate()
    for (const each of closed) if (each.status === "rejected") throw each.reason
    if (lost === undefined) return
    throw new EngineError("ENGINE_CLOSED", `shard ${lost.index} had died and was not back at the stop`)
  }

  /** Whether the shard is dead, and its partitions have no log that would bring their writes back. */
  #hasLostWrites({ index, isUp, upSinceMs }: Slot): boolean {
    if (isUp || upSinceMs === 0) return false
    return this.#host.settings.stores.some(
      ({ durability, partitions }) => durability !== "log" && partitions > index,
    )
  }

  /** Ends the threads at once; what is not on disk is gone, as after a crash. */
  async terminate(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#slots.map((slot) => slot?.client.terminate()))
    await Promise.all(this.#supervised)
  }

  get #up(): Slot[] {
    return this.#slots.filter(({ isUp }) => isUp)
  }

  get #alive(): Slot[] {
    return this.#slots.filter(({ client }) => !client.isOver)
  }

  #slotOf(partition: number): Slot {
    return this.#slots[partition % this.#host.settings.shards]!
  }

  #enginesOf(slot: Slot): RemoteEngine[] {
    return [...this.#engines.values()].filter(({ name }) => this.#slotOf(name.partition) === slot)
  }

  #startThread(index: number): Promise<ShardClient> {
    const { settings, administration, log } = this.#host
    return ShardClient.start({ index, settings: shardSettings(settings) }, administration, log)
  }

  /** Two ways between shard `index` and each of those up to `last`. */
  #connect(index: number, last: number): void {
    const own = this.#slots[index]!
    for (const other of this.#slots) {
      if (other.index === index || other.index > last || other.client.isOver) continue
      const there = new MessageChannel()
      const back = new MessageChannel()
      own.client.connectPeer(other.index, there.port1, back.port1)
      other.client.connectPeer(index, back.port2, there.port2)
    }
  }

  async #serve(slot: Slot): Promise<void> {
    slot.address = await slot.client.call("serve", slot.address)
    if (!this.#isServing) await slot.client.call("setServing", false)
    slot.isUp = true
    slot.upSinceMs = performance.now()
  }

  async #supervise(slot: Slot): Promise<void> {
    const { log } = this.#host
    const { signal } = this.#closing
    for (;;) {
      const death = await slot.client.ended
      if (signal.aborted) return
      slot.isUp = false
      this.#host.lost(this.#enginesOf(slot).map(({ name }) => name))
      if (performance.now() - slot.upSinceMs > PAUSE_RESET_MS) slot.pauseMs = PAUSE_FIRST_MS
      const shard = slot.index
      const fields = { shard, ...errorFields(death) }
      log.error("shard-died", `shard ${shard} died and is started again; other shards go on`, fields)
      do {
        await pause(slot.pauseMs, signal)
        slot.pauseMs = Math.min(PAUSE_MAX_MS, slot.pauseMs * 2)
        if (signal.aborted) return
      } while (!(await this.#tryRestart(slot)))
    }
  }

  async #tryRestart(slot: Slot): Promise<boolean> {
    const { log } = this.#host
    const shard = slot.index
    slot.restartCount++
    try {
      await this.#restart(slot)
      log.info("shard-restarted", `shard ${shard} serves again`, { shard })
      return true
    } catch (error) {
      await slot.client.terminate()
      this.#host.lost(this.#enginesOf(slot).map(({ name }) => name))
      const fields = { shard, nextInMs: slot.pauseMs, ...errorFields(error) }
      if (!this.#closing.signal.aborted)
        log.error("shard-restart-failed", `shard ${shard} could not be started`, fields)
      return false
    }
  }

  async #restart(slot: Slot): Promise<void> {
    slot.client = await this.#startThread(slot.index)
    const engines = this.#enginesOf(slot)
    if (this.#closing.signal.aborted) throw new VarveError("SHUTTING_DOWN", "the daemon is going down")
    this.#connect(slot.index, this.#slots.length)
    await Promise.all(
      engines.map(async (engine) => {
        await releaseLockOfDeadThread(partitionDirectory(this.#host.settings, engine.name))
        engine.standing = await slot.client.call("openPartition", engine.name)
      }),
    )
    await this.#host.recover(engines.map(({ name }) => name))
    if (this.#closing.signal.aborted) throw new VarveError("SHUTTING_DOWN", "the daemon is going down")
    await this.#serve(slot)
  }
}

function keyOf({ store, partition }: PartitionName): string {
  return `${store}/${partition}`
}

/** Resolves after `ms`, or at once when the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener("abort", end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener("abort", end)
    if (signal.aborted) end()
  })
}
