// Collects garbage in the repository of a daemon, when somebody asks or on schedule; never twice at a time. It has a
// thread of its own for as long as it takes: merges and uploads do not wait behind it.

import {
  type Clock,
  type CollectionResult,
  collectGarbage,
  type DrillHold,
  type Reasons,
  type ThreadExecutor,
  whyKept,
} from "@varve/engines/internal"
import { type CollectGarbageResponse, VarveError, type WhyKeptResponse } from "@varve/proto"
import type { GarbageSettings } from "../config/settings.ts"
import { errorFields, type Log } from "../log.ts"
import type { GarbageMetrics } from "../metrics/garbage-metrics.ts"

export interface GarbageHost {
  /** The repository's. */
  readonly url: string
  readonly settings: GarbageSettings
  readonly clock: Pick<Clock, "monotonicMs">
  readonly log: Log
  readonly metrics: GarbageMetrics
  /** Drills wait while the repository is looked through. */
  readonly hold: DrillHold
  /** A thread, which is given back after each use. */
  startThread(): ThreadExecutor
}

export class GarbageCollector {
  readonly #host: GarbageHost
  readonly #closing = new AbortController()
  #executor: ThreadExecutor | undefined
  #running: Promise<unknown> | undefined

  constructor(host: GarbageHost) {
    this.#host = host
  }

  /**
   * Collects once; says what was done, or with `dryRun` what would be.
   * @throws (rejects) VarveError `OVERLOADED` while another runs; EngineError `DATA_LOSS` when something that versions need
   * is damaged or missing: nothing is then removed; `REPOSITORY_FAILED`, `ENGINE_CLOSED`
   */
  collect({ dryRun }: { readonly dryRun: boolean }): Promise<CollectGarbageResponse> {
    return this.#once(async (executor, signal) => {
      const { url, settings, clock, log, metrics } = this.#host
      const { graceMs, liveMin } = settings
      const startedMs = clock.monotonicMs()
      try {
        const options = { url, graceMs, liveMin, dryRun }
        const result = await executor.run(collectGarbage, options, [], signal)
        const figures = figuresOf(result, (clock.monotonicMs() - startedMs) / 1000)
        if (!dryRun) {
          metrics.done(figures)
          const { removed, condemned, rewritten, bytesRemoved, seconds } = figures
          const fields = { removed, condemned, rewritten, bytesRemoved, seconds }
          log.info("garbage-collected", `garbage was collected; packs that are gone: ${removed}`, fields)
        }
        return answerOf(figures)
      } catch (error) {
        if (!dryRun && !signal.aborted) {
          metrics.failed()
          log.warn("garbage-collection-failed", "nothing that is needed was removed", errorFields(error))
        }
        throw error
      }
    })
  }

  /** Who keeps a chunk or a pack. @throws (rejects) as `collect`, and EngineError `SETTING_INVALID` */
  why(name: string): Promise<WhyKeptResponse> {
    return this.#once(async (executor, signal) => {
      return reasonsAnswer(await executor.run(whyKept, { url: this.#host.url, name }, [], signal))
    })
  }

  /** The repository is not waited for any more. */
  giveUpRepository(): void {
    this.#executor?.closeObjectStores()
  }

  /** Stops what runs: after the request that is under way. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #once<Result>(
    work: (executor: ThreadExecutor, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const { signal } = this.#closing
    if (signal.aborted) throw new VarveError("SHUTTING_DOWN", "the daemon is going down")
    if (this.#running !== undefined) {
      throw new VarveError("OVERLOADED", "the repository is being looked through already: ask again later")
    }
    const executor = this.#host.startThread()
    this.#executor = executor
    const result = this.#host.hold.during("collection", async () => {
      try {
        return await work(executor, signal)
      } finally {
        await executor.close()
        this.#executor = undefined
        this.#running = undefined
      }
    })
    // Whoever asked hears of a failure; `close` only waits.
    this.#running = result.catch(() => undefined)
    return await result
  }
}

type Figures = ReturnType<typeof figuresOf>

function figuresOf(result: CollectionResult, seconds: number) {
  const { packCount, manifestCount, bytes, bytesLive, bytesRewritten, bytesRemoved } = result
  return {
    packs: packCount,
    manifests: manifestCount,
    bytes,
    bytesLive,
    bytesRewritten,
    bytesRemoved,
    condemned: result.condemn.length,
    rewritten: result.rewrite.length,
    removed: result.remove.length,
    pardoned: result.pardon.length,
    forgotten: result.forget.length,
    superseded: result.superseded.length,
    images: result.imageCount,
    probes: result.probes.length,
    seconds,
  }
}

function answerOf(figures: Figures): CollectGarbageResponse {
  const { bytes, bytesLive, bytesRewritten, bytesRemoved } = figures
  return {
    ...figures,
    bytes: BigInt(bytes),
    bytesLive: BigInt(bytesLive),
    bytesRewritten: BigInt(bytesRewritten),
    bytesRemoved: BigInt(bytesRemoved),
  }
}

/** The answer of the contract for what a collection did: `seconds` long. */
export function collectionAnswer(result: CollectionResult, seconds: number): CollectGarbageResponse {
  return answerOf(figuresOf(result, seconds))
}

/** The answer of the contract for what was found out. */
export function reasonsAnswer({ chunks, keepers, images, damage }: Reasons): WhyKeptResponse {
  return {
    chunks: chunks.map(({ hash, bytes, packs }) => ({ hash, bytes, packs: [...packs] })),
    keepers: keepers.map(({ store, partition, version, timeline, runs }) => {
      return { store, partition, version: BigInt(version), timeline, runs: [...runs] }
    }),
    images: images.map(({ name, id }) => ({ name, id })),
    damage: [...damage],
  }
}
