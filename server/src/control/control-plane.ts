// What a daemon knows and does once, whatever the number of its shards: stores with their versions, the administrative
// calls, pruning and garbage collection, and the figures of all that. Records never come here.
//
// Start: threads of the shards, then each store (opened on the shards, brought to one state over all of them), then the
// listeners, then what goes by schedule.

import { join } from "node:path"
import { DrillHold, type SystemSeams, systemSeams, ThreadExecutor } from "@varve/engines/internal"
import { Registry } from "prom-client"
import type { Settings } from "../config/settings.ts"
import type { Log } from "../log.ts"
import { DrillMetrics } from "../metrics/drill-metrics.ts"
import { registerErrorMetrics } from "../metrics/error-metrics.ts"
import { GarbageMetrics } from "../metrics/garbage-metrics.ts"
import { registerRepositoryMetrics } from "../metrics/repository-metrics.ts"
import { RetentionMetrics } from "../metrics/retention-metrics.ts"
import { registerShardMetrics } from "../metrics/shard-metrics.ts"
import { VersionMetrics } from "../metrics/version-metrics.ts"
import { type AdministrativeCalls, administrativeCalls } from "../shard/administrative-calls.ts"
import { type Outside, openProvenOutside } from "../shard/outside.ts"
import type { PartitionName } from "../shard/shard-port.ts"
import { Stores } from "../shard/stores.ts"
import { Administration } from "./administration.ts"
import { describeDrill } from "./describe-drill.ts"
import { drillFiles } from "./drill-file.ts"
import { DrillHistories } from "./drill-histories.ts"
import { GarbageCollector } from "./garbage-collector.ts"
import { openStore } from "./open-store.ts"
import { recoverPartitions } from "./recover-partitions.ts"
import { RestoreDrills } from "./restore-drills.ts"
import { Shards } from "./shards.ts"
import { SpaceKeeper } from "./space-keeper.ts"
import type { Store } from "./store.ts"
import { storesOnDisk } from "./store-file.ts"

/** How long a description waits for the figures of a shard that is busy. */
const FIGURES_WAIT_MS = 250
/** How long the repository is waited for when the daemon stops. */
const REPOSITORY_GRACE_MS = 2500
/** Main lists versions, and has no records to move. */
const JOB_THREADS = 1

/** Who the daemon is. */
export interface Identity {
  readonly softwareVersion: string
  /** Different at each start. */
  readonly instance: string
  readonly startedMs: number
}

export class ControlPlane {
  /** Figures of versions and of the repository. */
  readonly registry = new Registry()
  readonly shards: Shards
  /** The administrative calls, for HTTP and for the shards. */
  readonly administration: AdministrativeCalls
  readonly #settings: Settings
  readonly #log: Log
  readonly #seams: SystemSeams
  readonly #outside: Outside
  #stores = new Stores<Store>([])
  #calls: Administration | undefined
  #space: SpaceKeeper | undefined
  #drills: RestoreDrills | undefined

  constructor(settings: Settings, log: Log, seams: SystemSeams, outside: Outside) {
    this.#settings = settings
    this.#log = log
    this.#seams = seams
    this.#outside = outside
    this.administration = this.#administrativeCalls()
    const recover = (partitions: readonly PartitionName[]): Promise<void> => this.#recover(partitions)
    const lost = (partitions: readonly PartitionName[]): void => this.#lose(partitions)
    this.shards = new Shards({ settings, log, administration: this.administration, lost, recover })
  }

  /**
   * Resolves when clients are served.
   * @throws (rejects) SettingsError, EngineError, the system's error; nothing is left running then
   */
  static async open(settings: Settings, identity: Identity, log: Log): Promise<ControlPlane> {
    const seams = systemSeams({ threads: JOB_THREADS })
    const plane = new ControlPlane(settings, log, seams, await openProvenOutside(settings, seams))
    try {
      await plane.shards.start()
      await plane.#openStores()
      plane.#administrate(identity)
      await plane.#drills!.recall()
      await plane.shards.serve()
    } catch (error) {
      await plane.shards.drain(0, CLOSE_AFTER_FAILURE_MS)
      await plane
        .#close(CLOSE_AFTER_FAILURE_MS)
        .catch((failure: unknown) => log.warn("close-failed", String(failure)))
      throw error
    }
    plane.#space!.schedule(settings.garbageCollection.intervalMs)
    plane.#drills!.schedule()
    return plane
  }

  /**
   * Partitions that nobody can use: of shards that are being started again, and those that another daemon has taken. And
   * stores whose last drill has failed, when that is to count.
   */
  get troubles(): Record<"restarting" | "fenced" | "damaged", readonly string[]> {
    const partitions = this.#stores.all.flatMap(({ settings, partitions: all }) =>
      all.map(({ index, engine }) => ({ index, engine, name: `${settings.name}/${index}` })),
    )
    return {
      restarting: partitions.filter(({ index }) => !this.shards.isServed(index)).map(({ name }) => name),
      fenced: partitions.filter(({ engine }) => engine.owner.isFenced).map(({ name }) => name),
      damaged: this.#settings.drills.failReadiness ? (this.#drills?.failing ?? []) : [],
    }
  }

  /** Drains the shards and closes everything: all is kept. @throws (rejects) when a store could not be closed */
  async close(graceMs: number, timeoutMs: number): Promise<void> {
    await this.shards.drain(graceMs, timeoutMs)
    await this.#close(timeoutMs)
  }

  async #close(timeoutMs: number): Promise<void> {
    const giveUp = (): void => {
      this.#outside.giveUpRepository()
      this.#space?.giveUpRepository()
      this.#drills?.giveUpRepository()
    }
    const timer = setTimeout(giveUp, REPOSITORY_GRACE_MS)
    const closing = [this.#space?.close(), this.#drills?.close(), this.shards.close(timeoutMs)]
    const closed = await Promise.allSettled(closing)
    clearTimeout(timer)
    await this.#outside.close()
    await this.#seams.close()
    for (const each of closed) if (each.status === "rejected") throw each.reason
  }

  get #storesDirectory(): string {
    return join(this.#settings.dataDir, "stores")
  }

  async #openStores(): Promise<void> {
    const storesDirectory = this.#storesDirectory
    await this.#warnOfUnusedStores(storesDirectory)
    const host = {
      storesDirectory,
      repository: this.#outside.repository,
      seams: this.#seams,
      log: this.#log,
      openPartition: (name: PartitionName) => this.shards.openPartition(name),
    }
    const stores: Store[] = []
    for (const settings of this.#settings.stores) stores.push(await openStore(settings, host))
    this.#stores = new Stores(stores)
  }

  #administrate({ softwareVersion, instance, startedMs }: Identity): void {
    const { repository, limits, garbageCollection, drills: drillSettings } = this.#settings
    const stores = this.#stores
    const { clock, random, fileSystem } = this.#seams
    const log = this.#log
    const names = stores.all.map((store) => store.settings.name)
    const startThread = (): ThreadExecutor =>
      new ThreadExecutor({ threads: 1, requests: this.#seams.requests })
    const hold = new DrillHold()
    const drills = new RestoreDrills({
      ...{ stores: stores.all, url: repository, settings: drillSettings, clock, random, log, hold },
      startThread,
      histories: new DrillHistories(drillFiles(fileSystem, this.#storesDirectory), log),
      metrics: new DrillMetrics(this.registry, stores.all),
      onReadiness: (isReady) => void this.shards.setReady(isReady),
      onDamagedPacks: (packs) => void this.shards.distrust(packs),
    })
    this.#drills = drills
    const node = {
      ...{ softwareVersion, instance, startedMs },
      addressOf: (partition: number) => this.shards.addressOf(partition),
      repositoryUrl: repository,
      messageBytesMax: limits.messageBytesMax,
      drillOf: (store: string) => {
        const report = drills.reportOf(store)
        return report === null ? undefined : describeDrill(report, drillSettings.failReadiness)
      },
    }
    const collector = new GarbageCollector({
      url: repository,
      settings: garbageCollection,
      clock,
      log,
      metrics: new GarbageMetrics(this.registry),
      hold,
      startThread,
    })
    const metrics = new RetentionMetrics(this.registry, names)
    const space = new SpaceKeeper({ stores, collector, clock, log, metrics })
    this.#space = space
    const versions = new VersionMetrics(this.registry, stores.all)
    this.#calls = new Administration(stores, node, log, versions, space, drills)
    registerShardMetrics(this.registry, this.shards)
    registerErrorMetrics(this.registry)
    registerRepositoryMetrics(this.registry, this.#seams.requests)
  }

  #administrativeCalls(): AdministrativeCalls {
    const calls = administrativeCalls.map((name) => [
      name,
      async (request: unknown): Promise<unknown> => {
        if (name === "describe") await this.shards.refresh(FIGURES_WAIT_MS)
        const calls = this.#calls!
        return await (calls[name] as (request: unknown) => unknown).call(calls, request)
      },
    ])
    return Object.fromEntries(calls) as AdministrativeCalls
  }

  #lose(names: readonly PartitionName[]): void {
    for (const { store, partition } of names) this.#stores.get(store).partition(partition).isLost = true
  }

  async #recover(names: readonly PartitionName[]): Promise<void> {
    for (const store of this.#stores.all) {
      const own = names.filter((name) => name.store === store.settings.name)
      if (own.length === 0) continue
      const partitions = own.map(({ partition }) => store.partition(partition))
      await recoverPartitions(store, partitions, this.#log)
    }
  }

  async #warnOfUnusedStores(storesDirectory: string): Promise<void> {
    for (const name of await storesOnDisk(this.#seams.fileSystem, storesDirectory)) {
      if (this.#settings.stores.some((store) => store.name === name)) continue
      const message = `store ${name} is on disk, but no setting names it: it is left as it is`
      this.#log.warn("store-unused", message, { store: name })
    }
  }
}

/** What has begun to start is given this long to end. */
const CLOSE_AFTER_FAILURE_MS = 9000
