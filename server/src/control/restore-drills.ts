// Restore drills of a daemon: on schedule, the newest complete version of each store is read from the repository alone,
// and all of it is proven. One store after the other, in a thread of its own, within a budget; snapshots and garbage
// collection go first (`DrillHold`). A drill that fails changes nothing: people are told, by log, metrics, `Describe`
// and, when the settings say so, by readiness. What they found outlives the daemon: see drill-file.ts.

import { isEngineError } from "@varve/engines"
import {
  type Clock,
  type DrillHold,
  type DrillTarget,
  drillRestore,
  type Random,
  type ThreadExecutor,
} from "@varve/engines/internal"
import { VarveError } from "@varve/proto"
import type { DrillSettings } from "../config/settings.ts"
import { errorFields, type Log } from "../log.ts"
import type { DrillMetrics } from "../metrics/drill-metrics.ts"
import { type DrillReport, firstDamage } from "./drill-file.ts"
import type { DrillHistories } from "./drill-histories.ts"
import { runEvery } from "./schedule.ts"
import type { Store } from "./store.ts"
import { layoutOf, restoreTargets } from "./store-versions.ts"

/** After one that failed the next one comes sooner: whoever has mended something wants to know. */
const RETRY_MS = 60 * 60 * 1000
/** A drill that is due at the start comes within this time, by chance: many daemons may have been started together. */
const START_SPREAD_MS = 5 * 60 * 1000

export interface DrillHost {
  readonly stores: readonly Store[]
  /** The repository's. */
  readonly url: string
  readonly settings: DrillSettings
  readonly clock: Pick<Clock, "sleep" | "nowMs">
  readonly random: Random
  readonly log: Log
  readonly metrics: DrillMetrics
  readonly histories: DrillHistories
  readonly hold: DrillHold
  /** A thread, which is given back after each use. */
  startThread(): ThreadExecutor
  /** Called when the daemon is to count as not ready because of drills, and when it is to count as ready again. */
  onReadiness(isReady: boolean): void
  /** Ids of packs that are damaged or missing: versions are not to rely on them any more. */
  onDamagedPacks(packs: readonly string[]): void
}

export class RestoreDrills {
  readonly #host: DrillHost
  readonly #closing = new AbortController()
  #executor: ThreadExecutor | undefined
  #running: Promise<unknown> | undefined
  #scheduled: Promise<void> | undefined

  constructor(host: DrillHost) {
    this.#host = host
  }

  /** What the last drill of a store has found; null: there was none that found anything out. */
  reportOf(store: string): DrillReport | null {
    return this.#host.histories.of(store).last
  }

  /** Names of the stores whose last drill has failed. */
  get failing(): string[] {
    return this.#names.filter((name) => this.reportOf(name)?.isPassed === false)
  }

  /** What drills before this start have found is shown, and counts, again. */
  async recall(): Promise<void> {
    const { settings, clock, metrics, histories, onReadiness } = this.#host
    for (const name of this.#names) {
      const { scheduledSinceMs, last, passed } = await histories.recall(name)
      for (const report of [passed, last]) if (report !== null) metrics.recall(name, report)
      const sinceMs = settings.everyMs === 0 ? 0 : scheduledSinceMs || clock.nowMs()
      if (sinceMs !== scheduledSinceMs) await histories.note(name, { scheduledSinceMs: sinceMs })
      metrics.scheduled(name, settings.everyMs, sinceMs)
    }
    if (settings.failReadiness && this.#isFailing) onReadiness(false)
  }

  /** Drills all stores every `drills.every` from the last drill on, until it is closed. */
  schedule(): void {
    const { settings, clock, stores } = this.#host
    if (settings.everyMs === 0) return
    const intervalMs = (): number => this.#intervalMs(this.#isFailing)
    const schedule = { clock, signal: this.#closing.signal, firstMs: this.#firstMs(), intervalMs }
    this.#scheduled ??= runEvery(schedule, async () => {
      for (const store of stores) if (!this.#closing.signal.aborted) await this.#drillScheduled(store)
    })
  }

  /**
   * Drills the newest complete version of the partitions of a store that are here.
   * @throws (rejects) VarveError `OVERLOADED` while another drill runs, `SHUTTING_DOWN`, `OWNER_FENCED` when the store is
   * another daemon's by now; EngineError `SNAPSHOT_NOT_FOUND` when there is no version, `REPOSITORY_FAILED`
   */
  async drill(store: Store): Promise<DrillReport> {
    const { signal } = this.#closing
    if (signal.aborted) throw new VarveError("SHUTTING_DOWN", "the daemon is going down")
    if (this.#running !== undefined)
      throw new VarveError("OVERLOADED", "a drill is under way: ask again later")
    const running = this.#drill(store, signal)
    this.#running = running.catch(() => undefined)
    try {
      return await running
    } finally {
      this.#running = undefined
    }
  }

  /** Drills ask the repository for nothing while a snapshot is `work`. */
  giveWay<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#host.hold.during("snapshot", work)
  }

  /** The repository is not waited for any more. */
  giveUpRepository(): void {
    this.#executor?.closeObjectStores()
  }

  /** Stops what runs: after the request that is under way. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#host.hold.stop()
    await this.#running
    await this.#scheduled
  }

  get #names(): string[] {
    return this.#host.stores.map(({ settings }) => settings.name)
  }

  get #isFailing(): boolean {
    return this.failing.length > 0
  }

  #intervalMs(isFailing: boolean): number {
    const { everyMs } = this.#host.settings
    return isFailing ? Math.min(RETRY_MS, everyMs) : everyMs
  }

  /** Until the first of the stores is due. A daemon that is started more often than drills come drills all the same. */
  #firstMs(): number {
    const { settings, clock, random } = this.#host
    const nowMs = clock.nowMs()
    const dueMs = this.#names.map((name) => {
      const last = this.reportOf(name)
      if (last === null) return 0
      const intervalMs = this.#intervalMs(!last.isPassed)
      // The clock may have been put back since.
      return Math.min(intervalMs, last.endedMs + intervalMs - nowMs)
    })
    const [low, high] = random.bytes(2)
    const chance = (low! + 256 * high!) / 65_536
    return Math.max(chance * Math.min(START_SPREAD_MS, settings.everyMs), Math.min(...dueMs))
  }

  async #drillScheduled(store: Store): Promise<void> {
    const { name } = store.settings
    try {
      await this.drill(store)
    } catch (error) {
      // What went wrong has been told.
      this.#host.log.debug("drill-skipped", `store ${name}: the next drill comes by schedule`, {
        store: name,
        ...errorFields(error),
      })
    }
  }

  async #drill(store: Store, signal: AbortSignal): Promise<DrillReport> {
    const { url, settings, hold, startThread } = this.#host
    const { name, restoreMode } = store.settings
    const targets = await newestTargets(store).catch((error: unknown) => {
      if (!isNothingToDrill(error)) this.#tellIncomplete(store, error, signal)
      throw error
    })
    const executor = startThread()
    this.#executor = executor
    try {
      const answersFromIndex = restoreMode === "lazy"
      const { bytesPerSecond } = settings
      const options = { url, store: name, targets, bytesPerSecond, answersFromIndex, hold: hold.shared }
      const found = await executor.run(drillRestore, options, [], signal)
      const { damage, damagedPacks, recovery = null, ...figures } = found
      this.#host.onDamagedPacks(damagedPacks)
      const { version, timeline } = targets[0]!
      const endedMs = this.#host.clock.nowMs()
      const verdict = { isPassed: damage.length === 0, damage: firstDamage(damage), recovery }
      const report = { ...figures, version, timeline, endedMs, ...verdict }
      const change = report.isPassed ? { last: report, passed: report } : { last: report }
      await this.#host.histories.note(name, change)
      this.#tell(store, report, damage.length)
      return report
    } catch (error) {
      this.#tellIncomplete(store, error, signal)
      throw error
    } finally {
      await executor.close()
      this.#executor = undefined
    }
  }

  #tellIncomplete({ settings: { name } }: Store, error: unknown, signal: AbortSignal): void {
    if (signal.aborted) return
    const { log, metrics } = this.#host
    metrics.incomplete(name)
    const fields = { store: name, ...errorFields(error) }
    log.warn("drill-incomplete", `store ${name}: a restore drill could not be finished`, fields)
  }

  #tell(store: Store, report: DrillReport, damageCount: number): void {
    const { log, metrics, settings, onReadiness } = this.#host
    const { name } = store.settings
    const { version, timeline, isPassed, seconds, bytesRead, damage } = report
    metrics.done(name, report)
    const fields = { store: name, version, timeline, seconds, bytesRead }
    if (isPassed) log.info("drill-passed", `store ${name}: version ${version} can be restored`, fields)
    else {
      const message = `store ${name}: version ${version} cannot be restored: ${damage[0]}`
      log.error("drill-failed", message, { ...fields, damage, damageCount })
    }
    if (settings.failReadiness) onReadiness(!this.#isFailing)
  }
}

/** There is no version yet, or the store is another daemon's by now. */
function isNothingToDrill(error: unknown): boolean {
  const isFenced = error instanceof VarveError && error.reason === "OWNER_FENCED"
  return isFenced || isEngineError(error, "SNAPSHOT_NOT_FOUND")
}

/** The newest complete version of the partitions that are still this daemon's. */
async function newestTargets(store: Store): Promise<DrillTarget[]> {
  const owned = store.partitions.filter(({ engine }) => !engine.owner.isFenced)
  if (owned.length === 0) {
    throw new VarveError("OWNER_FENCED", `another daemon has taken store ${store.settings.name}`)
  }
  const listings = await store.restorable(owned)
  const targets = restoreTargets(listings, undefined)
  const { length } = store.partitions
  const partitionCount = layoutOf(listings, targets, length)
  if (partitionCount !== length) {
    const { timeline, version } = targets[0]!
    return Array.from({ length: partitionCount }, (_, partition) => ({ partition, timeline, version }))
  }
  return targets.map(({ timeline, version }, at) => ({ partition: owned[at]!.index, timeline, version }))
}
