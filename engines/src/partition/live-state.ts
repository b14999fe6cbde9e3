// A state that is served: an engine's core over its runs, the merges among them, and where it stands among the
// versions. A partition has one; during a restore a second one is built beside it, and then they change places.

import type { EngineError } from "../base/error.ts"
import { StalledTime } from "../base/stalled-time.ts"
import type { CoreHost, EngineCore, EngineDefinition } from "../core.ts"
import type { Engine, EngineName } from "../engine.ts"
import type { EngineStatistics } from "../engine-statistics.ts"
import type { Seams } from "../io/seams.ts"
import { Merger, type Merging } from "../runs/merger.ts"
import type { RunDirectory } from "../runs/run-directory.ts"
import { type OpenRun, RunSet } from "../runs/run-set.ts"
import type { VersionName } from "../snapshots/manifest.ts"
import type { Repository } from "../snapshots/repository.ts"
import type { SavedSessions } from "../snapshots/saved-sessions.ts"
import { Changes, type ChangesSince } from "./changes.ts"
import { ListedRuns } from "./listed-runs.ts"
import { MergedUploads } from "./merged-uploads.ts"
import { arrivingRuns, type RestoreMode } from "./open-runs.ts"
import { SessionTable } from "./session-table.ts"
import type { StateDescription } from "./state-file.ts"

const NO_DEBT = { runs: 0, bytes: 0 }

/** Which partition it is, and what runs it; as versions are filed. */
export interface PartitionIdentity {
  readonly store: string
  readonly partition: number
  readonly partitionCount: number
  readonly engine: EngineName
}

/** What does not change between the states of one partition. */
export interface PartitionParts {
  readonly seams: Seams
  readonly directory: RunDirectory
  readonly repository: Repository
  readonly valueBytesMax: number
  /** A background step lost the promise of durability. */
  poison(error: unknown): void
  /** Another owner has taken the partition. Called again when it is known who. */
  fence(error: EngineError): void
  /** Something went wrong that is tried again by itself. */
  warn(message: string, error: unknown): void
}

export class LiveState {
  readonly core: EngineCore
  readonly runs: RunSet
  readonly listed: ListedRuns
  readonly uploads: MergedUploads
  readonly hashSeed: number
  /** Which frames of which sessions it holds. */
  readonly sessions: SessionTable
  /** What no version holds of it. */
  readonly changes: Changes
  /** In which writers waited for memory: the disk, or the comparing of keys, was behind. */
  readonly #memoryStalls: StalledTime
  /** Undefined when the engine's runs never merge. */
  readonly merger: Merger | undefined
  line: readonly VersionName[]
  timeline: string
  metadata: Uint8Array

  private constructor(
    parts: PartitionParts,
    description: StateDescription,
    opened: { core: EngineCore; runs: RunSet; listed: ListedRuns; merging: Merging | undefined },
  ) {
    this.core = opened.core
    this.runs = opened.runs
    this.listed = opened.listed
    this.uploads = new MergedUploads({ ...opened, warn: parts.warn })
    this.hashSeed = description.hashSeed
    this.sessions = new SessionTable(description.sessions)
    this.changes = new Changes(description.changes)
    this.#memoryStalls = new StalledTime(() => parts.seams.clock.monotonicMs())
    this.line = description.line
    this.timeline = description.timeline
    this.metadata = Buffer.from(description.metadata, "base64")
    this.merger =
      opened.merging === undefined
        ? undefined
        : new Merger({
            runs: this.runs,
            directory: parts.directory,
            executor: parts.seams.executor,
            clock: parts.seams.clock,
            random: parts.seams.random,
            hashSeed: this.hashSeed,
            merging: opened.merging,
            keepsAddresses: (run) => this.core.keepsAddresses(run),
            replaced: (inputs, output) => this.uploads.merged(inputs, output),
            relocate: (inputs, output, relocations) => this.core.relocate(inputs, output, relocations),
            onError: (error) => parts.warn("a merge failed", error),
          })
  }

  /**
   * Builds a state from runs that are open; takes over the caller's holds on them, also when it fails.
   * @throws (rejects) EngineError `DATA_LOSS`
   */
  static async open<Settings>(
    parts: PartitionParts,
    engine: { readonly definition: EngineDefinition<Settings>; readonly settings: Settings },
    description: StateDescription,
    openRuns: readonly OpenRun[],
    mode: RestoreMode = "lazy",
  ): Promise<LiveState> {
    const runs = new RunSet()
    for (const run of openRuns) runs.add(run)
    runs.version = description.line.at(-1)?.version ?? 0
    const listings = Object.entries(description.stored)
    const host: CoreHost<Settings> = {
      ...parts.seams,
      settings: engine.settings,
      valueBytesMax: parts.valueBytesMax,
      hashSeed: description.hashSeed,
      runs,
      isListedOtherwise: listings.some(([id, stored]) => stored.some((run) => run.id !== id)),
      isEager: mode === "eager",
      directory: parts.directory,
      poison: (error) => parts.poison(error),
      warn: parts.warn,
    }
    try {
      const core = await engine.definition.open(host, description.engineState)
      const listed = new ListedRuns(parts.repository, description.stored)
      const merging = engine.definition.merging(engine.settings)
      return new LiveState(parts, description, { core, runs, listed, merging })
    } catch (error) {
      runs.close()
      throw error
    }
  }

  /** The version that the state stands on: the newest on its line. */
  get version(): number {
    return this.line.at(-1)?.version ?? 0
  }

  /** The newest version on its line, 0 when there is none; the metadata is the caller's. */
  get position(): Engine["position"] {
    const timeline = this.line.at(-1)?.timeline ?? this.timeline
    const { sealedMs } = this.changes
    return { version: this.version, metadata: new Uint8Array(this.metadata), timeline, sealedMs }
  }

  /** What the partition knows besides is added there. */
  statistics(): Omit<EngineStatistics, "log" | "isPoisoned" | "resentFrameCount"> {
    const { core, runs, merger, uploads } = this
    const ofCore = core.statistics()
    const { records: recordsUnsaved, bytes: bytesUnsaved } = this.changes.since(ofCore)
    const memoryStalledMs = this.#memoryStalls.ms
    return {
      ...ofCore,
      recordsUnsaved,
      bytesUnsaved,
      stallCount: ofCore.stallCount + (merger?.pressure.stallCount ?? 0),
      stalledMs: memoryStalledMs + (merger?.pressure.stalledMs ?? 0),
      memoryStallCount: ofCore.stallCount,
      memoryStalledMs,
      diskBytes: runs.diskBytes,
      bytesLocal: runs.bytesLocal,
      bytesDamaged: runs.bytesDamaged,
      runsByLevel: runs.byLevel,
      mergeCount: merger?.mergeCount ?? 0,
      bytesMerged: merger?.bytesMerged ?? 0,
      mergingMs: merger?.mergingMs ?? 0,
      mergeFailureCount: merger?.failureCount ?? 0,
      mergeDebt: merger?.debt ?? NO_DEBT,
      sessionCount: this.sessions.size,
      bytesMergedWaiting: uploads.bytesWaiting,
      bytesMergedStored: uploads.bytesStored,
    }
  }

  /** `pending` of a write of `bytes`, and what it waits for besides when merges are behind. */
  held(pending: Promise<void> | undefined, bytes: number): Promise<void> | undefined {
    if (pending !== undefined) this.#memoryStalls.during(pending)
    const delay = this.merger?.pressure.of(bytes)
    if (delay === undefined) return pending
    return pending === undefined ? delay : Promise.all([pending, delay]).then(() => undefined)
  }

  /**
   * Writes everything to disk and describes it. The caller holds the runs.
   * @throws (rejects) EngineError `STORAGE_FULL`, `STORAGE_FAILED`
   */
  async settle(): Promise<{ description: StateDescription; runs: readonly OpenRun[] }> {
    const sessions = this.sessions.describe()
    const { recordsWritten, bytesWritten } = this.core.statistics()
    const runs = await this.core.flush(this.core.seal())
    // Since the version that the description names: one may have been committed during the flush.
    const changes = this.changes.since({ recordsWritten, bytesWritten })
    return { description: this.describe(runs, this.core.engineState(), sessions, changes), runs }
  }

  /**
   * A state of these runs, which stands where this one stands now.
   * @param sessions as of the seal
   * @param changes up to the seal, since the version that it stands on now
   */
  describe(
    runs: readonly OpenRun[],
    engineState: unknown,
    sessions: SavedSessions | undefined,
    changes: ChangesSince,
  ): StateDescription {
    return {
      line: [...this.line],
      timeline: this.timeline,
      metadata: Buffer.from(this.metadata).toString("base64"),
      hashSeed: this.hashSeed,
      runs: runs.map(({ figures }) => figures),
      stored: this.listed.describe(runs),
      ...arrivingRuns(runs),
      engineState,
      ...(sessions === undefined ? {} : { sessions }),
      changes,
    }
  }

  /** Stops its work and gives up its runs. Does not flush. */
  async close(): Promise<void> {
    await this.merger?.close()
    await this.uploads.close()
    await this.core.close()
    this.listed.close()
    this.runs.close()
  }
}
