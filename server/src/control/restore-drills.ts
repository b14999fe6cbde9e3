// Restore drills of a daemon: on schedule, the newest complete version of each store is read from the repository alone,
// and all of it is proven. One store after the other, in a thread of its own, within a budget; snapshots and garbage
// collection go first (`DrillHold`). A drill that fails changes nothing: people are told, by log, metrics, `Describe`
// and, when the settings say so, by readiness.

import { isEngineError } from "@varve/engines"
import {
  type Clock,
  type DrillHold,
  type DrillTarget,
  drillRestore,
  type ThreadExecutor,
} from "@varve/engines/internal"
import { VarveError } from "@varve/proto"
import type { DrillSettings } from "../config/settings.ts"
import { errorFields, type Log } from "../log.ts"
import type { DrillFigures, DrillMetrics } from "../metrics/drill-metrics.ts"
import { runEvery } from "./schedule.ts"
import type { Store } from "./store.ts"
import { layoutOf, restoreTargets } from "./store-versions.ts"

/** After one that failed the next one comes sooner: whoever has mended something wants to know. */
const RETRY_MS = 60 * 60 * 1000
/** Of what is damaged, in a report and in a line of the log. */
const DAMAGE_LINES_MAX = 50

/** What the last drill of a store that found anything out has found. */
export interface DrillReport extends DrillFigures {
  readonly timeline: string
  /** What is damaged, the first DAMAGE_LINES_MAX lines. */
  readonly damage: readonly string[]
}

export interface DrillHost {
  readonly stores: readonly Store[]
  /** The repository's. */
  readonly url: string
  readonly settings: DrillSettings
  readonly clock: Pick<Clock, "sleep" | "nowMs">
  readonly log: Log
  readonly metrics: DrillMetrics
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
  /** By store. */
  readonly #reports = new Map<string, DrillReport>()
  #executor: ThreadExecutor | undefined
  #running: Promise<unknown> | undefined
  #scheduled: Promise<void> | undefined

  constructor(host: DrillHost) {
    this.#host = host
  }

  /** What the last drill of a store has found; undefined: there was none since the start. */
  reportOf(store: string): DrillReport | undefined {
    return this.#reports.get(store)
  }

  /** Names of the stores whose last drill has failed. */
  get failing(): string[] {
    return [...this.#reports].filter(([, { isPassed }]) => !isPassed).map(([name]) => name)
  }

  /** Drills all stores every `drills.every` from now on, until it is closed. */
  schedule(): void {
    const { settings, clock, stores } = this.#host
    if (settings.everyMs === 0) return
    const intervalMs = (): number =>
      this.#isFailing ? Math.min(RETRY_MS, settings.everyMs) : settings.everyMs
    this.#scheduled ??= runEvery({ clock, signal: this.#closing.signal, intervalMs }, async () => {
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

  get #isFailing(): boolean {
    return this.failing.length > 0
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
      const { damage, ...figures } = await executor.run(drillRestore, options, [], signal)
      this.#host.onDamagedPacks(figures.damagedPacks)
      const { version, timeline } = targets[0]!
      const endedMs = this.#host.clock.nowMs()
      const report = { ...figures, version, timeline, endedMs, isPassed: damage.length === 0, damage }
      return this.#tell(store, report)
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

  #tell(store: Store, found: DrillReport): DrillReport {
    const { log, metrics, settings, onReadiness } = this.#host
    const { name } = store.settings
    const { version, timeline, isPassed, seconds, bytesRead } = found
    const report = { ...found, damage: found.damage.slice(0, DAMAGE_LINES_MAX) }
    this.#reports.set(name, report)
    metrics.done(name, report)
    const fields = { store: name, version, timeline, seconds, bytesRead }
    if (isPassed) log.info("drill-passed", `store ${name}: version ${version} can be restored`, fields)
    else {
      const damage = { damage: report.damage, damageCount: found.damage.length }
      const message = `store ${name}: version ${version} cannot be restored: ${found.damage[0]}`
      log.error("drill-failed", message, { ...fields, ...damage })
    }
    if (settings.failReadiness) onReadiness(!this.#isFailing)
    return report
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
