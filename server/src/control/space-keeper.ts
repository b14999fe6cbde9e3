// Keeps the repository from growing for ever: prunes the versions of each store by its rules, and then collects garbage,
// on request and on schedule.

import type { Clock } from "@varve/engines/internal"
import type {
  CollectGarbageRequest,
  CollectGarbageResponse,
  PruneSnapshotsRequest,
  PruneSnapshotsResponse,
  WhyKeptRequest,
  WhyKeptResponse,
} from "@varve/proto"
import { errorFields, type Log } from "../log.ts"
import type { RetentionMetrics } from "../metrics/retention-metrics.ts"
import type { Stores } from "../shard/stores.ts"
import type { GarbageCollector } from "./garbage-collector.ts"
import { pruneStore } from "./prune-store.ts"
import type { RetentionDecision, RetentionRules } from "./retention.ts"
import { runEvery } from "./schedule.ts"
import type { Store } from "./store.ts"

export interface SpaceParts {
  readonly stores: Stores<Store>
  readonly collector: GarbageCollector
  readonly clock: Clock
  readonly log: Log
  readonly metrics: RetentionMetrics
}

export class SpaceKeeper {
  readonly #parts: SpaceParts
  readonly #closing = new AbortController()
  #scheduled: Promise<void> | undefined

  constructor(parts: SpaceParts) {
    this.#parts = parts
  }

  /** @throws (rejects) VarveError `STORE_UNKNOWN`, and as `pruneStore` */
  async pruneSnapshots(request: PruneSnapshotsRequest): Promise<PruneSnapshotsResponse> {
    const store = this.#parts.stores.get(request.store)
    const { keepLast, keepForMs } = request
    const isGiven = keepLast !== undefined || keepForMs !== undefined
    const rules = isGiven
      ? { keepLast: keepLast ?? 0, keepForMs: Number(keepForMs ?? 0n) }
      : store.settings.retention
    const decisions = await this.#prune(store, rules, request.dryRun)
    return { decisions: decisions.map(describeDecision) }
  }

  /** @throws (rejects) as `GarbageCollector.collect` */
  collectGarbage({ dryRun }: CollectGarbageRequest): Promise<CollectGarbageResponse> {
    return this.#parts.collector.collect({ dryRun })
  }

  /** @throws (rejects) as `GarbageCollector.why` */
  whyKept({ name }: WhyKeptRequest): Promise<WhyKeptResponse> {
    return this.#parts.collector.why(name)
  }

  /** Prunes all stores and collects once every `intervalMs` from now on, until it is closed; 0: never. */
  schedule(intervalMs: number): void {
    if (intervalMs > 0) this.#scheduled ??= this.#runEvery(intervalMs)
  }

  /** The repository is not waited for any more. */
  giveUpRepository(): void {
    this.#parts.collector.giveUpRepository()
  }

  /** Stops what is under way, after the request that runs. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#parts.collector.close()
    await this.#scheduled
  }

  async #runEvery(intervalMs: number): Promise<void> {
    const { clock, stores, collector } = this.#parts
    const { signal } = this.#closing
    await runEvery({ clock, signal, intervalMs: () => intervalMs }, async () => {
      for (const store of stores.all) {
        if (signal.aborted) return
        await this.#unlessItFails(() => this.#prune(store, store.settings.retention, false))
      }
      if (signal.aborted) return
      await this.#unlessItFails(() => collector.collect({ dryRun: false }))
    })
  }

  /** What fails has said so itself, in the log and the metrics; the next time may be better. */
  async #unlessItFails(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#parts.log.debug("upkeep-failed", "the next time comes by schedule", errorFields(error))
    }
  }

  async #prune(store: Store, rules: RetentionRules, dryRun: boolean): Promise<RetentionDecision[]> {
    const { log, metrics } = this.#parts
    const { name } = store.settings
    try {
      const decisions = await pruneStore(store, rules, { dryRun, nowMs: this.#parts.clock.nowMs() })
      if (dryRun) return decisions
      const removed = decisions.filter(({ isKept }) => !isKept).map(({ version }) => version.version)
      const kept = decisions.length - removed.length
      metrics.done(name, { kept, removed: removed.length })
      if (removed.length > 0) {
        const fields = { store: name, kept, removed: removed.slice(0, VERSIONS_LOGGED_MAX) }
        log.info("snapshots-pruned", `store ${name}: versions that are gone: ${removed.length}`, fields)
      }
      return decisions
    } catch (error) {
      metrics.failed(name)
      const fields = { store: name, ...errorFields(error) }
      log.warn("pruning-failed", `store ${name}: not all versions that may go are gone`, fields)
      throw error
    }
  }
}

/** In one line of the log. */
const VERSIONS_LOGGED_MAX = 100

function describeDecision({
  version,
  isKept,
  reason,
}: RetentionDecision): PruneSnapshotsResponse["decisions"][number] {
  return {
    version: BigInt(version.version),
    timeline: version.timeline,
    createdMs: BigInt(Math.floor(version.createdMs)),
    kept: isKept,
    reason,
  }
}
