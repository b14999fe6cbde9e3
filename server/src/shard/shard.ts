// A shard: the stores, their engines' outside world, the gRPC server and the figures of one thread.
//
// Steps at the start: threads for jobs, repository, stores (each recovered to one state), then the server: nobody
// is answered before the state is right.

import { join } from "node:path"
import { BlockCache } from "@varve/engines"
import { openObjectStore, Repository, type SystemSeams, systemSeams } from "@varve/engines/internal"
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
import { OperationMetrics } from "../metrics/operation-metrics.ts"
import { registerServerMetrics } from "../metrics/server-metrics.ts"
import { registerThreadMetrics } from "../metrics/thread-metrics.ts"
import { VersionMetrics } from "../metrics/version-metrics.ts"
import { Administration } from "./administration.ts"
import { openStore } from "./open-store.ts"
import type { ShardStart } from "./shard-port.ts"
import type { Store } from "./store.ts"
import { storesOnDisk } from "./store-file.ts"
import { Stores } from "./stores.ts"

/** Threads for merges, chunking, uploads and loading: one can merge while another uploads. */
const JOB_THREADS = 2
const WILDCARD_HOSTS: readonly string[] = ["0.0.0.0", "::"]

export class Shard {
  readonly registry: Registry
  readonly administration: Administration
  readonly #stores: Stores
  readonly #server: GrpcServer
  readonly #release: () => Promise<void>

  constructor(
    registry: Registry,
    administration: Administration,
    stores: Stores,
    server: GrpcServer,
    release: () => Promise<void>,
  ) {
    this.registry = registry
    this.administration = administration
    this.#stores = stores
    this.#server = server
    this.#release = release
  }

  /** @throws SettingsError, EngineError, the system's error when the address cannot be had */
  static async open(start: ShardStart, log: Log): Promise<Shard> {
    const { settings } = start
    const seams = systemSeams({ threads: JOB_THREADS })
    let repository: Repository | undefined
    const stores: Store[] = []
    try {
      repository = await Repository.open(await openObjectStore(settings.repository, seams.fileSystem), seams)
      const storesDirectory = join(settings.dataDir, "stores")
      await warnOfUnusedStores(settings, storesDirectory, seams, log)
      const blockCache = new BlockCache(settings.blockCacheBytes)
      for (const store of settings.stores) {
        stores.push(await openStore(store, { storesDirectory, repository, seams, blockCache, log }))
      }
      return await serve(start, new Stores(stores), blockCache, release(repository, seams), log)
    } catch (error) {
      for (const store of stores) await store.close()
      await repository?.close()
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
    const closed = await Promise.allSettled(this.#stores.all.map((store) => store.close()))
    await this.#release()
    for (const each of closed) if (each.status === "rejected") throw each.reason
  }
}

async function serve(
  start: ShardStart,
  stores: Stores,
  blockCache: BlockCache,
  release: () => Promise<void>,
  log: Log,
): Promise<Shard> {
  const { settings } = start
  const registry = new Registry()
  const names = stores.all.map((store) => store.settings.name)
  const operations = new OperationMetrics(registry, names)
  const versions = new VersionMetrics(registry, names)
  const inflight = new Inflight(settings.limits.inflightBytesMax)
  registerEngineMetrics(registry, stores.all)
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
  const administration = new Administration(stores, node, log, versions)
  const admission = new Admission()
  const { limits } = settings
  const backend = stateBackend({ stores, administration, operations, inflight, admission, limits, log })
  const server = await GrpcServer.open(settings.grpc, limits, backend, registry, inflight, admission, log)
  // Behind a wildcard the shard does not know by which name it is reached: clients stay where they came to.
  if (!WILDCARD_HOSTS.includes(settings.grpc.host)) node.address = formatAddress(server.address)
  registerServerMetrics(registry, server, inflight)
  return new Shard(registry, administration, stores, server, async () => {
    stopMeasuring()
    await release()
  })
}

function release(repository: Repository, seams: SystemSeams): () => Promise<void> {
  return async () => {
    await repository.close()
    await seams.close()
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
