// One partition: the engine that callers see. It checks what comes in, hands it to the core, and does what is the
// same for every engine.
//
//   open       what the directory holds: open-partition.ts        reads, writes   checks, conditions, the log, the core
//   snapshot   seal now, commit in order: snapshot-queue.ts       restore         another state in its place: restores.ts
//   close      flush -> publish the state file as clean           refusals        write-gate.ts
//   versions   listed, removed, pinned: partition-versions.ts

import { checkBatch } from "../base/batch.ts"
import { EngineError } from "../base/error.ts"
import type { ReadBudget } from "../base/read-budget.ts"
import { checkKeyBytes, encodeRecord, recordBytes } from "../base/record.ts"
import type {
  ConditionalRecord,
  Engine,
  KeyValue,
  Recovery,
  RestoreOptions,
  RestoreResult,
  ScanOptions,
  SequencedFrame,
  SnapshotOptions,
  SnapshotResult,
  WriteOptions,
} from "../engine.ts"
import type { EngineStatistics } from "../engine-statistics.ts"
import type { RunFigures } from "../runs/run.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { VersionName, VersionSummary } from "../snapshots/manifest.ts"
import { openLine } from "../snapshots/timeline.ts"
import { checkRecord, encodeChecked, encodeConditions } from "./checked-writes.ts"
import { Checkpoints } from "./checkpoints.ts"
import { ConditionalWrites } from "./conditional-writes.ts"
import { removeOtherLogs } from "./durable-log.ts"
import type { LiveState, PartitionParts } from "./live-state.ts"
import { encodeFrameHead } from "./log-entry.ts"
import { type OpenedPartition, openPartition, type PartitionSetting } from "./open-partition.ts"
import { OWNER_CHECK_INTERVAL_MS_DEFAULT, type PartitionOwner } from "./partition-owner.ts"
import { PartitionVersions } from "./partition-versions.ts"
import { presentPages } from "./present-pages.ts"
import { PublishedState } from "./published-state.ts"
import type { ReplacedStates } from "./replaced-states.ts"
import { Restores } from "./restores.ts"
import { SequencedWrites } from "./sequenced-writes.ts"
import { outcomes } from "./session-table.ts"
import { SnapshotQueue } from "./snapshot-queue.ts"
import type { LogMark, StateDescription } from "./state-file.ts"
import { WriteGate } from "./write-gate.ts"

const EMPTY = new Uint8Array(0)

export interface PartitionEngineOptions<Settings> extends PartitionSetting<Settings> {
  readonly parts: Omit<PartitionParts, "poison" | "fence">
  readonly onFenced: (error: EngineError) => void
  /** The end of a close: gives back what the engine was opened over. */
  readonly afterClose: () => Promise<void>
}

export class PartitionEngine<Settings> implements Engine {
  readonly name: Engine["name"]
  readonly recovery: Recovery
  readonly #options: PartitionEngineOptions<Settings>
  readonly #parts: PartitionParts
  readonly #replaced: ReplacedStates
  readonly #published: PublishedState
  readonly #versions: PartitionVersions
  readonly #gate = new WriteGate()
  readonly #conditional: ConditionalWrites
  readonly #sequenced: SequencedWrites
  /** Under durability `log`. */
  readonly #checkpoints: Checkpoints | undefined
  readonly #restores: Restores<Settings>
  readonly #owner: PartitionOwner
  #state: LiveState
  #lineage: string
  #snapshots: SnapshotQueue
  /** The line to restore from when the state does not stand on it, until a restore puts another in its place. */
  #strayLine: readonly VersionName[] | undefined

  private constructor(
    options: PartitionEngineOptions<Settings>,
    parts: PartitionParts,
    opened: OpenedPartition,
  ) {
    this.name = options.definition.name
    this.recovery = opened.recovery
    this.#options = options
    this.#parts = parts
    this.#replaced = opened.replaced
    this.#state = opened.state
    this.#lineage = opened.lineage
    this.#owner = opened.owner
    this.#strayLine = opened.line
    this.#published = new PublishedState(options.identity, parts, opened.replaced, (lineage) =>
      this.#epochOf(lineage, opened),
    )
    this.#versions = new PartitionVersions(options.identity, parts, () => this.line)
    this.#checkpoints = this.#checkpointsOf(opened)
    this.#snapshots = this.#snapshotsOf(opened.state)
    this.#conditional = new ConditionalWrites({
      read: (keys) => this.#state.core.getMany(keys),
      admit: (bytes) => this.#admit(bytes),
      apply: (batch, frame) => this.#apply(batch, frame),
    })
    this.#sequenced = new SequencedWrites(() => this.#state.sessions, this.#gate)
    this.#restores = this.#restoresOf(opened)
  }

  /** Opens what the directory holds. Errors as `openPartition`. */
  static async open<Settings>(options: PartitionEngineOptions<Settings>): Promise<PartitionEngine<Settings>> {
    let engine: PartitionEngine<Settings> | undefined
    let early: unknown
    const poison = (error: unknown): void => {
      if (engine === undefined) early ??= error
      else engine.#poison(error)
    }
    // Who loses the partition while it is opened hears of it by `openPartition`, which rejects.
    const fence = (error: EngineError): void => {
      if (engine !== undefined) engine.#fence(error)
    }
    const parts: PartitionParts = { ...options.parts, poison, fence }
    const opened = await openPartition(options, parts)
    engine = new PartitionEngine(options, parts, opened)
    if (early !== undefined) engine.#poison(early)
    try {
      await engine.#published.publishOpened(opened)
      await removeOtherLogs(parts, opened.durable?.id)
      if (opened.recovery !== "crashed") {
        opened.replaced.trim()
        await engine.#published.removeUnusedRuns()
      }
    } catch (error) {
      await engine.abandon()
      throw error
    }
    engine.#owner.watch(options.owner.checkIntervalMs ?? OWNER_CHECK_INTERVAL_MS_DEFAULT)
    return engine
  }

  get lineage(): string {
    return this.#lineage
  }

  get position(): Engine["position"] {
    return this.#state.position
  }

  get owner(): Engine["owner"] {
    return { epoch: this.#owner.epoch, isFenced: this.#owner.isLost }
  }

  get line(): readonly VersionName[] {
    return this.#strayLine ?? openLine(this.#state.line, this.#state.timeline)
  }

  get(key: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    checkKeyBytes(key.length)
    this.#gate.checkReadable()
    return this.#state.core.get(key)
  }

  getMany(
    keys: readonly Uint8Array[],
    budget?: ReadBudget,
  ): (Uint8Array | undefined)[] | Promise<(Uint8Array | undefined)[]> {
    for (const key of keys) checkKeyBytes(key.length)
    this.#gate.checkReadable()
    return this.#state.core.getMany(keys, budget)
  }

  set(key: Uint8Array, value: Uint8Array): Promise<void> | undefined {
    checkRecord(key, value, this.#parts.valueBytesMax)
    if (this.#checkpoints !== undefined) return this.#apply(encodeRecord(key, value))
    this.#admit(recordBytes(key.length, value.length))
    if (this.#conditional.isWatching) this.#conditional.touch(key)
    return this.#state.held(this.#state.core.set(key, value), key.length + value.length)
  }

  delete(key: Uint8Array): Promise<void> | undefined {
    return this.set(key, EMPTY)
  }

  write(records: readonly ConditionalRecord[], options: WriteOptions = {}): Promise<void> | undefined {
    const { valueBytesMax } = this.#parts
    const batch = encodeChecked(records, valueBytesMax)
    return this.#write(batch, encodeConditions(records, options.expected ?? [], valueBytesMax))
  }

  writeEncoded(
    batch: Uint8Array,
    expected: Uint8Array = EMPTY,
    frame?: SequencedFrame,
  ): { recordCount: number; pending: Promise<void> | undefined } {
    const { valueBytesMax } = this.#parts
    let recordCount: number | undefined
    const write = (): Promise<void> | undefined => {
      recordCount = checkBatch(batch, valueBytesMax).recordCount
      if (expected.length > 0) checkBatch(expected, valueBytesMax, "the conditions")
      return this.#write(batch, expected, frame)
    }
    const pending = frame === undefined ? write() : this.#sequenced.apply(frame, write)
    return { recordCount: recordCount ?? checkBatch(batch, valueBytesMax).recordCount, pending }
  }

  scan(options: ScanOptions = {}): AsyncIterable<KeyValue[]> {
    this.#gate.checkReadable()
    const state = this.#state
    return presentPages(state.core.scan(options), () => {
      this.#gate.checkReadable()
      if (this.#state !== state)
        throw new EngineError("STATE_REPLACED", "a restore has put another state in its place: scan again")
    })
  }

  async snapshot({ version, metadata = EMPTY }: SnapshotOptions): Promise<SnapshotResult> {
    this.#gate.checkWritable()
    this.#restores.checkNone()
    return this.#snapshots.snapshot({ version, metadata })
  }

  async restore(options: RestoreOptions): Promise<RestoreResult> {
    this.#gate.checkWritable()
    return this.#restores.restore(options)
  }

  listVersions(): Promise<VersionSummary[]> {
    return this.#versions.list()
  }

  damagedVersions(): VersionName[] {
    return this.#versions.damaged()
  }

  async deleteVersion(version: number, timeline?: string): Promise<void> {
    this.#gate.checkReadable()
    await this.#versions.delete(version, timeline)
  }

  async pinVersion(version: number, pinned: boolean, timeline?: string, name?: string): Promise<void> {
    this.#gate.checkReadable()
    await this.#versions.pin(version, pinned, timeline, name)
  }

  statistics(): EngineStatistics {
    const log = this.#checkpoints?.log.figures
    const state = this.#state.statistics()
    const isStorageFull = state.isStorageFull || log?.isFull === true
    const { resentCount: resentFrameCount } = this.#sequenced
    return { ...state, log, isStorageFull, resentFrameCount, isPoisoned: this.#gate.isPoisoned }
  }

  runs(): RunFigures[] {
    return this.#state.runs.figures
  }

  /** Lets go of everything and keeps the files as they are: for an engine that could not be brought up. */
  async abandon(): Promise<void> {
    this.#conditional.failAll(this.#gate.close())
    this.#parts.directory.keepFiles()
    await this.#owner.close()
    await this.#checkpoints?.close()
    await this.#state.close()
    this.#replaced.close()
  }

  async close(): Promise<void> {
    if (this.#gate.isClosed) return
    // The next owner has gone on from the last version: the state of one that was fenced is no state to continue.
    const isWhole = !this.#gate.isPoisoned && !this.#gate.isFenced
    this.#conditional.failAll(this.#gate.close())
    const { directory } = this.#parts
    this.#checkpoints?.giveUpWhenFull()
    await this.#restores.idle()
    await this.#snapshots.idle()
    await this.#owner.close()
    let held: readonly OpenRun[] = []
    try {
      if (isWhole) {
        await this.#state.merger?.close()
        await this.#exclusively(async () => {
          const { description, runs } = await this.#state.settle()
          held = runs
          const mark = await this.#checkpoints?.mark()
          const log = mark === undefined ? undefined : { ...mark, end: mark.from }
          await this.#published.publishClean(description, this.#lineage, log)
          if (log !== undefined) this.#checkpoints?.log.trim(log.end)
        })
      }
    } finally {
      directory.keepFiles()
      try {
        await this.#checkpoints?.close()
      } finally {
        for (const run of held) run.release()
        await this.#state.close()
        this.#replaced.close()
        await this.#options.afterClose()
      }
    }
  }

  #write(batch: Uint8Array, conditions: Uint8Array, frame?: SequencedFrame): Promise<void> | undefined {
    return conditions.length === 0
      ? this.#apply(batch, frame)
      : this.#conditional.write(batch, conditions, frame)
  }

  /** Every batch goes through here to the core. */
  #apply(batch: Uint8Array, frame?: SequencedFrame): Promise<void> | undefined {
    this.#admit(batch.length)
    // Nothing that a log would have to keep.
    if (frame !== undefined && batch.length === 0) return undefined
    const position = this.#checkpoints?.append(batch, frame && encodeFrameHead(frame))
    if (frame !== undefined) this.#state.sessions.note(frame, outcomes.applied)
    if (this.#conditional.isWatching) this.#conditional.touchAll(batch)
    const pending = this.#state.held(this.#state.core.write(batch), batch.length)
    return position === undefined ? pending : this.#checkpoints?.acknowledged(position, pending)
  }

  /** Throws when `bytes` more of records cannot be taken. */
  #admit(bytes: number): void {
    this.#gate.checkWrite()
    this.#state.core.admit(bytes)
    this.#checkpoints?.admit(bytes)
  }

  #poison(cause: unknown): void {
    const refusal = this.#gate.poison(cause)
    if (refusal === undefined) return
    this.#conditional.failAll(refusal)
    this.#parts.warn("the partition takes no more writes", cause)
  }

  /** Another owner has the partition. What is on disk is not marked as complete any more: see `close`. */
  #fence(error: EngineError): void {
    this.#gate.fence(error)
    this.#conditional.failAll(error)
    this.#options.onFenced(error)
  }

  /** Until another state is put back, or a version continues it, a state that was overtaken stays one of its own owner. */
  #epochOf(lineage: string, opened: OpenedPartition): number {
    const isStray = lineage === opened.lineage && !this.#owner.hasCommitted
    return isStray ? (opened.overtakenEpoch ?? this.#owner.epoch) : this.#owner.epoch
  }

  #snapshotsOf(state: LiveState): SnapshotQueue {
    return new SnapshotQueue(state, this.#options.identity, this.#parts, this.#checkpoints, this.#owner)
  }

  /** The end of a restore. */
  #exchange(next: LiveState, lineage: string): void {
    this.#state = next
    this.#lineage = lineage
    this.#strayLine = undefined
    this.#snapshots = this.#snapshotsOf(next)
    // Not decided anew: what was meant for one state is not applied to another.
    this.#conditional.failAll(
      new EngineError("RESTORE_IN_PROGRESS", "a restore replaced the state before the conditions were read"),
    )
  }

  #checkpointsOf(opened: OpenedPartition): Checkpoints | undefined {
    const { durable, mark } = opened
    if (durable === undefined) return undefined
    const host = {
      log: durable.log,
      logId: durable.id,
      checkpointBytes: this.#options.log.checkpointBytes,
      state: () => this.#state,
      publish: (present: StateDescription, log: LogMark) =>
        this.#published.publish(present, this.#lineage, log),
      warn: this.#parts.warn,
      clock: this.#parts.seams.clock,
      poison: (error: unknown) => this.#poison(error),
    }
    return new Checkpoints(host, durable, mark !== undefined)
  }

  #restoresOf({ replaced }: OpenedPartition): Restores<Settings> {
    return new Restores({
      setting: this.#options,
      parts: this.#parts,
      replaced,
      published: this.#published,
      gate: this.#gate,
      checkpoints: this.#checkpoints,
      present: () => ({ state: this.#state, lineage: this.#lineage, line: this.line }),
      snapshotsDone: () => this.#snapshots.idle(),
      exclusively: (work) => this.#exclusively(work),
      exchange: (next, lineage) => this.#exchange(next, lineage),
    })
  }

  /** While nothing else publishes the state file. */
  #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#checkpoints === undefined ? work() : this.#checkpoints.exclusively(work)
  }
}
