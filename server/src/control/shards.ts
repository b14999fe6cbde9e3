// The shards of a daemon: starts them, connects them with one another, and starts one again that has died.
//
//               open partitions        recovered              listening
//   start ────────────────────► open ────────────► recovered ──────────► up
//     ▲                                                                   │ died
//     └──────────────── pause, longer each time ◄─────────────────────────┘ or hung, and was ended
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
import type { Family } from "../metrics/families.ts"
import type { AdministrativeCalls } from "../shard/administrative-calls.ts"
import { partitionDirectory } from "../shard/open-partition.ts"
import { BEAT_MS, type PartitionName } from "../shard/shard-port.ts"
import { HangWatch, newBeat } from "./hang-watch.ts"
import { RemoteEngine } from "./remote-engine.ts"
import { ShardClient } from "./shard-client.ts"
import { shardSettings } from "./shard-settings.ts"
import { ShardSlot } from "./shard-slot.ts"

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
  readonly #slots: ShardSlot[] = []
  readonly #engines = new Map<string, RemoteEngine>()
  readonly #closing = new AbortController()
  readonly #supervised: Promise<void>[] = []
  #isReady = true

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
      this.#slots[index] = new ShardSlot(index, each.value, shardAddress(settings.grpc, index))
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
    const served = await Promise.allSettled(this.#slots.map((slot) => this.#serve(slot)))
    for (const each of served) if (each.status === "rejected") throw each.reason
    for (const slot of this.#slots) this.#supervised.push(this.#supervise(slot))
    if (this.#host.settings.shardHangSeconds === 0) return
    const looking = setInterval(() => this.#lookForHanging(), BEAT_MS)
    this.#closing.signal.addEventListener("abort", () => clearInterval(looking))
  }

  /** Whether the daemon as a whole is ready, for health checks of all shards; calls are taken all the same. */
  async setReady(isReady: boolean): Promise<void> {
    this.#isReady = isReady
    await this.#tellServing()
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

  /** The figures of all shards: of one that does not answer in time, those that it gave last. */
  async metrics(timeoutMs: number): Promise<Family[]> {
    const answers = this.#up.map(async (slot) => {
      const { client } = slot
      const families = await client.call("metrics", undefined, timeoutMs)
      // Of a thread that has died meanwhile they are noted already.
      if (slot.isUp && slot.client === client) slot.figures.answered(families)
    })
    await Promise.allSettled(answers)
    return this.#slots.flatMap(({ figures }) => figures.families)
  }

  /** No shard takes calls any more; those that run get `graceMs`. */
  async drain(graceMs: number, timeoutMs: number): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled(this.#whole.map(({ client }) => client.call("drain", { graceMs }, timeoutMs)))
  }

  /** Every engine keeps everything, and the threads end. @throws (rejects) when one could not be closed */
  async close(timeoutMs: number): Promise<void> {
    this.#closing.abort()
    // One that is being started again is not waited for: on disk it is what it was when it died.
    const died = this.#slots.filter(({ hasDied }) => hasDied)
    const closed = await Promise.allSettled(
      this.#whole.map(async ({ client }) => {
        await client.call("close", undefined, timeoutMs)
        await client.ended
      }),
    )
    const lost = died.find(({ index }) => this.#losesWrites(index))
    await this.terminate()
    for (const each of closed) if (each.status === "rejected") throw each.reason
    if (lost === undefined) return
    throw new EngineError("ENGINE_CLOSED", `shard ${lost.index} had died and was not back at the stop`)
  }

  /** Whether partitions of the shard have no log that would bring their writes back. */
  #losesWrites(index: number): boolean {
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

  get #up(): ShardSlot[] {
    return this.#slots.filter(({ isUp }) => isUp)
  }

  /** Those that have something to close. */
  get #whole(): ShardSlot[] {
    return this.#slots.filter(({ client, hasDied }) => !client.isOver && !hasDied)
  }

  #slotOf(partition: number): ShardSlot {
    return this.#slots[partition % this.#host.settings.shards]!
  }

  #enginesOf(slot: ShardSlot): RemoteEngine[] {
    return [...this.#engines.values()].filter(({ name }) => this.#slotOf(name.partition) === slot)
  }

  #startThread(index: number): Promise<ShardClient> {
    const { settings, administration, log } = this.#host
    const onFenced = (): void => {
      this.#slots[index]!.isFenced = true
      void this.#tellServing()
    }
    const start = { index, settings: shardSettings(settings), beat: newBeat() }
    return ShardClient.start(start, { administration, log, onFenced }, this.#closing.signal)
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

  async #serve(slot: ShardSlot): Promise<void> {
    slot.address = await slot.client.call("serve", slot.address)
    const { shardHangSeconds } = this.#host.settings
    slot.rise(shardHangSeconds === 0 ? undefined : new HangWatch(slot.client.beat, shardHangSeconds))
    await this.#tellServing()
  }

  /** Health checks answer alike on all ports: who asks one of them asks about the daemon. */
  async #tellServing(): Promise<void> {
    const isServing = this.#isReady && !this.#slots.some(({ isFenced }) => isFenced)
    // One that dies meanwhile hears of it when it is back.
    await Promise.allSettled(this.#up.map(({ client }) => client.call("setServing", isServing)))
  }

  #lookForHanging(): void {
    const { log, settings } = this.#host
    for (const { index, client, watch } of this.#slots) {
      if (client.isOver || watch?.look() !== true) continue
      const message = `its event loop has not turned for ${settings.shardHangSeconds} s (shardHangSeconds)`
      log.error("shard-hangs", `shard ${index} is ended: ${message}`, { shard: index })
      void client.terminate(new Error(message))
    }
  }

  async #supervise(slot: ShardSlot): Promise<void> {
    const { log } = this.#host
    const { signal } = this.#closing
    for (;;) {
      const death = await slot.client.ended
      if (signal.aborted) return
      slot.fall()
      this.#host.lost(this.#enginesOf(slot).map(({ name }) => name))
      const shard = slot.index
      const fields = { shard, ...errorFields(death) }
      log.error("shard-died", `shard ${shard} died and is started again; other shards go on`, fields)
      do {
        await slot.pause(signal)
        if (signal.aborted) return
      } while (!(await this.#tryRestart(slot)))
    }
  }

  async #tryRestart(slot: ShardSlot): Promise<boolean> {
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

  async #restart(slot: ShardSlot): Promise<void> {
    slot.client = await this.#startThread(slot.index)
    slot.isFenced = false
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
