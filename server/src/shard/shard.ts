// A shard: the stores, their engines' outside world, the gRPC server and the figures of one thread.
//
// Steps at the start: threads for jobs, repository, stores (each recovered to one state), then the server: nobody
// is answered before the state is right.

import { join } from "node:path"
import { BlockCache } from "@varve/engines"
import {
  type ObjectStore,
  openProvenObjectStore,
  Repository,
  type SystemSeams,
  systemSeams,
  ThreadExecutor,
} from "@varve/engines/internal"
import { Registry } from "prom-client"
import { formatAddress, type ListenAddress } from "../config/address.ts"
import type { Settings } from "../config/settings.ts"
import { Admission } from "../grpc/admission.ts"
import { GrpcServer } from "../grpc/grpc-server.ts"
import { Inflight } from "../grpc/inflight.ts"
import { stateBackend } from "../grpc/state-backend.ts"
import type { Log } from "../log.ts"
import { registerBlockCacheMetrics } from "../metrics/block-cache-metrics.ts"
import { registerEngineMetrics } from "../metrics/engine-metrics.ts"
import { GarbageMetrics } from "../metrics/garbage-metrics.ts"
import { OperationMetrics } from "../metrics/operation-metrics.ts"
import { registerOwnerMetrics } from "../metrics/owner-metrics.ts"
import { RetentionMetrics } from "../metrics/retention-metrics.ts"
import { registerServerMetrics } from "../metrics/server-metrics.ts"
import { registerThreadMetrics } from "../metrics/thread-metrics.ts"
import { VersionMetrics } from "../metrics/version-metrics.ts"
import { Administration } from "./administration.ts"
import { GarbageCollector } from "./garbage-collector.ts"
import { openStore } from "./open-store.ts"
import type { ShardStart } from "./shard-port.ts"
import { SpaceKeeper } from "./space-keeper.ts"
import type { Store } from "./store.ts"
import { storesOnDisk } from "./store-file.ts"
import { Stores } from "./stores.ts"

/** Threads for merges, chunking, uploads and loading: one can merge while another uploads. */
const JOB_THREADS = 2
/**
 * How long stores that close may wait for the repository. A snapshot that it does not take by then fails, and what it
 * would have held is kept on disk.
 */
const REPOSITORY_GRACE_MS = 2500
const WILDCARD_HOSTS: readonly string[] = ["0.0.0.0", "::"]

/** What the stores are opened over. */
interface Outside {
  readonly seams: SystemSeams
  /** The repository is not waited for any more. */
  giveUpRepository(): void
  close(): Promise<void>
}

export class Shard {
  readonly registry: Registry
  readonly administration: Administration
  readonly #stores: Stores
  readonly #server: GrpcServer
  readonly #outside: Outside
  readonly #space: SpaceKeeper

  constructor(
    registry: Registry,
    administration: Administration,
    stores: Stores,
    server: GrpcServer,
    outside: Outside,
    space: SpaceKeeper,
  ) {
    this.#space = space
    this.registry = registry
    this.administration = administration
    this.#stores = stores
    this.#server = server
    this.#outside = outside
  }

  /** @throws SettingsError, EngineError, the system's error when the address cannot be had */
  static async open(start: ShardStart, log: Log): Promise<Shard> {
    const { settings } = start
    const seams = systemSeams({ threads: JOB_THREADS, startsThreads: true })
    let objectStore: ObjectStore | undefined
    let repository: Repository | undefined
    const stores: Store[] = []
    try {
      objectStore = await openProvenObjectStore(settings.repository, seams)
      repository = await Repository.open(objectStore, seams, { chunkCacheBytes: settings.chunkCacheBytes })
      const storesDirectory = join(settings.dataDir, "stores")
      await warnOfUnusedStores(settings, storesDirectory, seams, log)
      const blockCache = new BlockCache(settings.blockCacheBytes)
      const fenced = new AbortController()
      const { ownerCheckSeconds } = settings
      const onFenced = (): void => fenced.abort()
      const host = { storesDirectory, repository, seams, blockCache, log, ownerCheckSeconds, onFenced }
      for (const store of settings.stores) stores.push(await openStore(store, host))
      return await serve(
        start,
        new Stores(stores),
        blockCache,
        outsideOf(repository, objectStore, seams),
        fenced.signal,
        log,
      )
    } catch (error) {
      for (const store of stores) await store.close()
      await repository?.close()
      await objectStore?.close()
      await seams.close()
      throw error
    }
  }

  /** Where gRPC calls are taken. */
  get address(): ListenAddress {
    return this.#server.address
  }

  /** Takes no more calls, gives those that run `graceMs`, then closes every store: everything is kept. */
  async close(graceMs: number): Promise<void> {
    await this.#server.close(graceMs)
    const giveUp = (): void => {
      this.#outside.giveUpRepository()
      this.#space.giveUpRepository()
    }
    const timer = setTimeout(giveUp, REPOSITORY_GRACE_MS)
    const closing = [this.#space.close(), ...this.#stores.all.map((store) => store.close())]
    const closed = await Promise.allSettled(closing)
    clearTimeout(timer)
    await this.#outside.close()
    for (const each of closed) if (each.status === "rejected") throw each.reason
  }
}

async function serve(
  start: ShardStart,
  stores: Stores,
  blockCache: BlockCache,
  outside: Outside,
  fenced: AbortSignal,
  log: Log,
): Promise<Shard> {
  const { settings } = start
  const registry = new Registry()
  const names = stores.all.map((store) => store.settings.name)
  const operations = new OperationMetrics(registry, names)
  const versions = new VersionMetrics(registry, names)
  const inflight = new Inflight(settings.limits.inflightBytesMax)
  registerEngineMetrics(registry, stores.all)
  registerOwnerMetrics(registry, stores.all)
  registerBlockCacheMetrics(registry, blockCache)
  const stopMeasuring = registerThreadMetrics(registry, "shard-0")
  const node = {
    softwareVersion: start.softwareVersion,
    startedMs: start.startedMs,
    instance: start.instance,
    address: "",
    repositoryUrl: settings.repository,
    messageBytesMax: settings.limits.messageBytesMax,
  }
  const { garbageCollection } = settings
  const collector = new GarbageCollector({
    url: settings.repository,
    settings: garbageCollection,
    clock: outside.seams.clock,
    log,
    metrics: new GarbageMetrics(registry),
    startThread: () => new ThreadExecutor({ threads: 1 }),
  })
  const { clock } = outside.seams
  const space = new SpaceKeeper({
    stores,
    collector,
    clock,
    log,
    metrics: new RetentionMetrics(registry, names),
  })
  const administration = new Administration(stores, node, log, versions, space)
  const admission = new Admission()
  const { limits } = settings
  const backend = stateBackend({ stores, administration, operations, inflight, admission, limits, log })
  const server = await GrpcServer.open(settings.grpc, limits, backend, registry, inflight, admission, log)
  // Behind a wildcard the shard does not know by which name it is reached: clients stay where they came to.
  if (!WILDCARD_HOSTS.includes(settings.grpc.host)) node.address = formatAddress(server.address)
  registerServerMetrics(registry, server, inflight)
  // One partition is enough: the daemon does not do any more what it is set to do.
  if (fenced.aborted) server.setNotServing()
  else fenced.addEventListener("abort", () => server.setNotServing(), { once: true })
  space.schedule(garbageCollection.intervalMs)
  const whole = {
    ...outside,
    close: async () => {
      stopMeasuring()
      await outside.close()
    },
  }
  return new Shard(registry, administration, stores, server, whole, space)
}

function outsideOf(repository: Repository, objectStore: ObjectStore, seams: SystemSeams): Outside {
  return {
    seams,
    giveUpRepository: () => {
      seams.closeObjectStores()
      void objectStore.close()
    },
    close: async () => {
      await repository.close()
      await objectStore.close()
      await seams.close()
    },
  }
}

async function warnOfUnusedStores(
  { stores }: Settings,
  storesDirectory: string,
  { fileSystem }: SystemSeams,
  log: Log,
): Promise<void> {
  for (const name of await storesOnDisk(fileSystem, storesDirectory)) {
    if (stores.some((store) => store.name === name)) continue
    log.warn("store-unused", `store ${name} is on disk, but no setting names it: it is left as it is`, {
      store: name,
    })
  }
}
