// A shard: the engines of its partitions, their outside world, the gRPC server and the figures of one thread.
//
// It begins with the outside: threads for jobs, the repository. Main then has it open its partitions, brings each store
// to one state over all shards, and has it serve last: nobody is answered before the state is right. What concerns
// versions is main's business, and comes as calls on engines; what clients ask of other shards' partitions is handed on.

import { strict as assert } from "node:assert"
import type { MessagePort } from "node:worker_threads"
import { BlockCache, type Engine, EngineError } from "@varve/engines"
import { type SystemSeams, systemSeams } from "@varve/engines/internal"
import { Registry } from "prom-client"
import type { ListenAddress } from "../config/address.ts"
import type { Settings } from "../config/settings.ts"
import { Admission } from "../grpc/admission.ts"
import { GrpcServer } from "../grpc/grpc-server.ts"
import { Inflight } from "../grpc/inflight.ts"
import { type StateBackendParts, stateBackend } from "../grpc/state-backend.ts"
import type { Log } from "../log.ts"
import { registerBlockCacheMetrics } from "../metrics/block-cache-metrics.ts"
import { registerEngineMetrics } from "../metrics/engine-metrics.ts"
import { registerErrorMetrics } from "../metrics/error-metrics.ts"
import { registerForwardingMetrics } from "../metrics/forwarding-metrics.ts"
import { OperationMetrics } from "../metrics/operation-metrics.ts"
import { registerOwnerMetrics } from "../metrics/owner-metrics.ts"
import { registerChunkCacheMetrics, registerRepositoryMetrics } from "../metrics/repository-metrics.ts"
import { registerServerMetrics } from "../metrics/server-metrics.ts"
import { registerThreadMetrics } from "../metrics/thread-metrics.ts"
import type { AdministrativeCalls } from "./administrative-calls.ts"
import { openPartition } from "./open-partition.ts"
import { type Outside, openOutside } from "./outside.ts"
import { Peer } from "./peer.ts"
import { type PeerHandlers, servePeer } from "./peer-service.ts"
import type { EngineCall, EngineStanding, PartitionName, ShardCalls, ShardStart } from "./shard-port.ts"
import { ShardPartition, ShardStore } from "./shard-store.ts"
import { Stores } from "./stores.ts"

/** Threads for merges, chunking, uploads and loading: one can merge while another uploads. */
const JOB_THREADS = 2
/**
 * How long engines that close may wait for the repository. A snapshot that it does not take by then fails, and what it
 * would have held is kept on disk.
 */
const REPOSITORY_GRACE_MS = 2500

/** Main, as a shard needs it. */
export interface ShardOwner {
  readonly administration: AdministrativeCalls
  /** Another daemon has taken one of the shard's partitions. */
  onFenced(): void
}

export class Shard {
  readonly registry = new Registry()
  readonly #parts: StateBackendParts & { readonly settings: Settings }
  readonly #owner: ShardOwner
  readonly #seams: SystemSeams
  readonly #outside: Outside
  readonly #peers: readonly Peer[]
  readonly #blockCache: BlockCache
  readonly #stopMeasuring: () => void
  #foreign: PeerHandlers | undefined
  readonly #waitingPorts: MessagePort[] = []
  #server: GrpcServer | undefined
  #isFenced = false

  constructor(
    { index, settings }: ShardStart,
    outside: { seams: SystemSeams; outside: Outside },
    owner: ShardOwner,
    log: Log,
  ) {
    this.#owner = owner
    this.#seams = outside.seams
    this.#outside = outside.outside
    this.#peers = Array.from({ length: settings.shards }, (_, each) => new Peer(each))
    this.#blockCache = new BlockCache(settings.blockCacheBytes)
    const stores = new Stores(settings.stores.map((store) => this.#storeOf(store, index)))
    const names = settings.stores.map(({ name }) => name)
    this.#parts = {
      settings,
      stores,
      operations: new OperationMetrics(this.registry, names),
      inflight: new Inflight(settings.limits.inflightBytesMax),
      admission: new Admission(),
      administration: owner.administration,
      log,
    }
    registerForwardingMetrics(this.registry, this.#peers)
    registerBlockCacheMetrics(this.registry, this.#blockCache)
    registerErrorMetrics(this.registry)
    registerRepositoryMetrics(this.registry, this.#seams.requests)
    const { storedRuns } = this.#outside.repository
    registerChunkCacheMetrics(this.registry, () => storedRuns.cacheStatistics())
    this.#stopMeasuring = registerThreadMetrics(this.registry, `shard-${index}`)
  }

  /** @throws (rejects) SettingsError, EngineError, the system's error */
  static async open(start: ShardStart, owner: ShardOwner, log: Log): Promise<Shard> {
    const seams = systemSeams({ threads: JOB_THREADS })
    return new Shard(start, { seams, outside: await openOutside(start.settings, seams) }, owner, log)
  }

  /** @throws (rejects) as `openEngine` */
  async openPartition(name: PartitionName): Promise<EngineStanding> {
    const { settings, stores, log } = this.#parts
    const store = stores.get(name.store)
    const { repository } = this.#outside
    const host = { settings, repository, seams: this.#seams, blockCache: this.#blockCache, log }
    const engine = await openPartition(store.settings, name.partition, {
      ...host,
      onFenced: () => {
        this.#isFenced = true
        this.#server?.setServing("owner", false)
        this.#owner.onFenced()
      },
    })
    store.partition(name.partition).attach(engine)
    return standingOf(engine)
  }

  /** Begins all calls in this turn. */
  callEngines(
    calls: readonly EngineCall[],
    answer: (
      call: EngineCall,
      result: PromiseSettledResult<unknown>,
      standing: EngineStanding | undefined,
    ) => void,
  ): void {
    for (const call of calls) {
      const partition = this.#parts.stores.get(call.store).partition(call.partition)
      if (!partition.isOpen) {
        // The shard was started again, and main did not wait.
        const reason = new EngineError("ENGINE_CLOSED", `partition ${call.partition} is not open yet`)
        answer(call, { status: "rejected", reason }, undefined)
        continue
      }
      const { engine } = partition
      const settle = (result: PromiseSettledResult<unknown>): void => answer(call, result, standingOf(engine))
      const work = engine[call.name] as (...argumentList: unknown[]) => Promise<unknown>
      work.apply(engine, [...call.arguments]).then(
        (value) => settle({ status: "fulfilled", value }),
        (reason: unknown) => settle({ status: "rejected", reason }),
      )
    }
  }

  standings(): ShardCalls["standings"][1] {
    return this.#parts.stores.all.flatMap(({ settings, own }) =>
      own.map(({ index, engine }) => {
        return { store: settings.name, partition: index, standing: standingOf(engine) }
      }),
    )
  }

  /** Takes calls of clients. @returns where. @throws (rejects) SettingsError, the system's error */
  async serve(address: ListenAddress): Promise<ListenAddress> {
    assert(this.#server === undefined, "a shard serves once")
    const { settings, stores, inflight, admission, log } = this.#parts
    const measured = stores.all.map((store) => ({ settings: store.settings, partitions: store.own }))
    registerEngineMetrics(this.registry, measured)
    registerOwnerMetrics(this.registry, measured)
    const { backend, foreign } = stateBackend(this.#parts)
    const where = { ...settings, grpc: address }
    const server = await GrpcServer.open(where, backend, this.registry, inflight, admission, log)
    this.#server = server
    registerServerMetrics(this.registry, server, inflight)
    // One partition is enough: the shard does not do any more what it is set to do.
    if (this.#isFenced) server.setServing("owner", false)
    this.#foreign = foreign
    for (const port of this.#waitingPorts.splice(0)) servePeer(port, foreign)
    // Not before it is known that the shard serves: they would take the processors from its start.
    setImmediate(() => this.#seams.startThreads())
    return server.address
  }

  /** What main says of the daemon as a whole. */
  setServing(isServing: boolean): undefined {
    this.#server?.setServing("daemon", isServing)
  }

  /** No version that is made from now on relies on these packs, as far as its runs are here. */
  distrust(packs: readonly string[]): undefined {
    this.#outside.repository.distrust(packs)
  }

  /** The way to another shard, and from there. */
  connectPeer(index: number, calls: MessagePort, served: MessagePort): void {
    this.#peers[index]!.connect(calls)
    // Calls wait in the port until this shard serves.
    if (this.#foreign === undefined) this.#waitingPorts.push(served)
    else servePeer(served, this.#foreign)
  }

  /** Takes no more calls, and gives those that run `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.#parts.admission.close()
    await this.#server?.close(graceMs)
  }

  /** Closes every engine: everything is kept. @throws (rejects) when one could not be closed */
  async close(): Promise<void> {
    const giveUp = (): void => this.#outside.giveUpRepository()
    const timer = setTimeout(giveUp, REPOSITORY_GRACE_MS)
    const closing = this.#parts.stores.all.flatMap(({ own }) => own.map(({ engine }) => engine.close()))
    const closed = await Promise.allSettled(closing)
    clearTimeout(timer)
    for (const peer of this.#peers) peer.disconnect()
    this.#stopMeasuring()
    await this.#outside.close()
    await this.#seams.close()
    for (const each of closed) if (each.status === "rejected") throw each.reason
  }

  #storeOf(settings: Settings["stores"][number], index: number): ShardStore {
    const partitions = Array.from({ length: settings.partitions }, (_, partition) => {
      const owner = partition % this.#peers.length
      return new ShardPartition(partition, owner === index ? undefined : this.#peers[owner]!)
    })
    return new ShardStore(settings, partitions)
  }
}

function standingOf(engine: Engine): EngineStanding {
  const { recovery, lineage, position, line } = engine
  const { epoch, isFenced } = engine.owner
  return {
    recovery,
    lineage,
    position,
    line: [...line],
    owner: { epoch, isFenced },
    damaged: engine.damagedVersions(),
    statistics: engine.statistics(),
  }
}
