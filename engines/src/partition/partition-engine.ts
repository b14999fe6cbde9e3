// One partition: the engine that callers see. It checks what comes in, hands it to the core, and does what is the
// same for every engine: versions, restore, and what is found after a stop or a crash.
//
//   snapshot   seal (now, synchronous) -> flush -> store runs -> manifest          one after the other, in order
//   restore    read manifest -> fetch missing runs -> build the new state beside the old one
//              -> settle the old one on disk, to be had again -> publish the state file -> change places
//   close      flush -> publish the state file as clean
//
// Until the state file is published a restore has changed nothing; after it, the only thing left is a pointer.

import { EngineError } from "../base/error.ts"
import { checkBatch, checkKeyBytes, encodeRecord, recordBytes } from "../base/record.ts"
import type {
  ConditionalRecord,
  Engine,
  EngineStatistics,
  KeyValue,
  Recovery,
  RestoreOptions,
  RestoreResult,
  ScanOptions,
  SnapshotOptions,
  SnapshotResult,
  WriteOptions,
} from "../engine.ts"
import type { RunFigures } from "../runs/run.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { VersionName, VersionSummary } from "../snapshots/manifest.ts"
import { openLine, resolveVersion } from "../snapshots/timeline.ts"
import { checkRecord, encodeChecked, encodeConditions } from "./checked-writes.ts"
import { Checkpoints } from "./checkpoints.ts"
import { chooseSource, versionNames } from "./choose-source.ts"
import { ConditionalWrites } from "./conditional-writes.ts"
import { removeOtherLogs } from "./durable-log.ts"
import { LiveState, type PartitionParts } from "./live-state.ts"
import { newIdentity, type OpenedPartition, openPartition, type PartitionSetting } from "./open-partition.ts"
import type { ReplacedStates } from "./replaced-states.ts"
import type { RestoreSource } from "./restore-source.ts"
import { SnapshotQueue } from "./snapshot-queue.ts"
import { type LogMark, publishStateFile, readStateFile, type StateDescription } from "./state-file.ts"

const EMPTY = new Uint8Array(0)

export interface PartitionEngineOptions<Settings> extends PartitionSetting<Settings> {
  readonly parts: Omit<PartitionParts, "poison">
  /** The end of a close: gives back what the engine was opened over. */
  readonly afterClose: () => Promise<void>
}

export class PartitionEngine<Settings> implements Engine {
  readonly name: Engine["name"]
  readonly recovery: Recovery
  readonly #options: PartitionEngineOptions<Settings>
  readonly #parts: PartitionParts
  readonly #replaced: ReplacedStates
  readonly #conditional: ConditionalWrites
  /** Under durability `log`. */
  readonly #checkpoints: Checkpoints | undefined
  #state: LiveState
  #lineage: string
  #snapshots: SnapshotQueue
  #restore: Promise<unknown> | undefined
  /** The present state is on disk, and another one is about to take its place: a write would be lost. */
  #isChanging = false
  /** Why nothing may be written any more. */
  #refusal: EngineError | undefined
  #isClosed = false
  /** Where the state stood that a crash has lost, until a restore puts another in its place. */
  #crashedLine: readonly VersionName[] | undefined

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
    if (opened.lost !== undefined) this.#crashedLine = openLine(opened.lost.line, opened.lost.timeline)
    this.#checkpoints = this.#checkpointsOf(opened)
    this.#snapshots = new SnapshotQueue(opened.state, options.identity, parts, this.#checkpoints)
    this.#conditional = new ConditionalWrites({
      read: (keys) => this.#state.core.getMany(keys),
      admit: (bytes) => this.#admit(bytes),
      apply: (batch) => this.#apply(batch),
    })
  }

  /** Opens what the directory holds. Errors as `openPartition`. */
  static async open<Settings>(options: PartitionEngineOptions<Settings>): Promise<PartitionEngine<Settings>> {
    let engine: PartitionEngine<Settings> | undefined
    let early: unknown
    const poison = (error: unknown): void => {
      if (engine === undefined) early ??= error
      else engine.#poison(error)
    }
    const parts: PartitionParts = { ...options.parts, poison }
    const opened = await openPartition(options, parts)
    engine = new PartitionEngine(options, parts, opened)
    if (early !== undefined) engine.#poison(early)
    try {
      await engine.#publish(opened.present, { isClean: false, lineage: opened.lineage, log: opened.mark })
      await removeOtherLogs(parts, opened.durable?.id)
      if (opened.recovery !== "crashed") await engine.#removeUnused()
    } catch (error) {
      await engine.abandon()
      throw error
    }
    return engine
  }

  get lineage(): string {
    return this.#lineage
  }

  get position(): Engine["position"] {
    const { version, metadata, timeline, line } = this.#state
    return { version, metadata: new Uint8Array(metadata), timeline: line.at(-1)?.timeline ?? timeline }
  }

  get line(): readonly VersionName[] {
    return this.#crashedLine ?? openLine(this.#state.line, this.#state.timeline)
  }

  get(key: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    checkKeyBytes(key.length)
    this.#checkOpen()
    return this.#state.core.get(key)
  }

  getMany(keys: readonly Uint8Array[]): (Uint8Array | undefined)[] | Promise<(Uint8Array | undefined)[]> {
    for (const key of keys) checkKeyBytes(key.length)
    this.#checkOpen()
    return this.#state.core.getMany(keys)
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
  ): { recordCount: number; pending: Promise<void> | undefined } {
    const { recordCount } = checkBatch(batch, this.#parts.valueBytesMax)
    if (expected.length > 0) checkBatch(expected, this.#parts.valueBytesMax, "the conditions")
    return { recordCount, pending: this.#write(batch, expected) }
  }

  scan(options: ScanOptions = {}): AsyncIterable<KeyValue[]> {
    this.#checkOpen()
    return this.#state.core.scan(options)
  }

  async snapshot({ version, metadata = EMPTY }: SnapshotOptions): Promise<SnapshotResult> {
    this.#checkWritable()
    if (this.#restore !== undefined) throw restoreInProgress()
    return this.#snapshots.snapshot({ version, metadata })
  }

  async restore(options: RestoreOptions): Promise<RestoreResult> {
    this.#checkWritable()
    if (this.#restore !== undefined) throw restoreInProgress()
    const restoring = this.#restoreState(options)
    this.#restore = restoring
    try {
      return await restoring
    } finally {
      this.#restore = undefined
    }
  }

  listVersions(): Promise<VersionSummary[]> {
    const { store, partition } = this.#options.identity
    return this.#parts.repository.listVersions(store, partition)
  }

  async deleteVersion(version: number, timeline?: string): Promise<void> {
    const { store, partition } = this.#options.identity
    const name = resolveVersion(
      await versionNames(this.#options.identity, this.#parts),
      { version, timeline },
      this.line,
    )
    await this.#parts.repository.deleteVersion(store, partition, name)
  }

  async pinVersion(version: number, pinned: boolean, timeline?: string): Promise<void> {
    const { store, partition } = this.#options.identity
    const name = resolveVersion(await this.listVersions(), { version, timeline }, this.line)
    await this.#parts.repository.pin(store, partition, name, pinned)
  }

  statistics(): EngineStatistics {
    const { core, runs, merger } = this.#state
    const ofCore = core.statistics()
    return {
      ...ofCore,
      stallCount: ofCore.stallCount + (merger?.pressure.stallCount ?? 0),
      stalledMs: merger?.pressure.stalledMs ?? 0,
      log: this.#checkpoints?.log.figures,
      diskBytes: runs.diskBytes,
      runsByLevel: runs.byLevel,
      mergeCount: merger?.mergeCount ?? 0,
      bytesMerged: merger?.bytesMerged ?? 0,
    }
  }

  runs(): RunFigures[] {
    return this.#state.runs.figures
  }

  /** Lets go of everything and keeps the files as they are: for an engine that could not be brought up. */
  async abandon(): Promise<void> {
    this.#isClosed = true
    this.#refusal ??= new EngineError("ENGINE_CLOSED", "the engine is closed")
    this.#conditional.failAll(this.#refusal)
    this.#parts.directory.keepFiles()
    await this.#checkpoints?.close()
    await this.#state.close()
    this.#replaced.close()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const poisoned = this.#refusal
    this.#refusal = new EngineError("ENGINE_CLOSED", "the engine is closed")
    this.#conditional.failAll(this.#refusal)
    const { directory } = this.#parts
    this.#checkpoints?.giveUpWhenFull()
    await this.#restore?.catch(() => undefined)
    await this.#snapshots.idle()
    let held: readonly OpenRun[] = []
    try {
      if (poisoned === undefined) {
        await this.#state.merger?.close()
        await this.#exclusively(async () => {
          const { description, runs } = await this.#state.settle()
          held = runs
          const mark = await this.#checkpoints?.mark()
          const log = mark === undefined ? undefined : { ...mark, end: mark.from }
          await this.#publish(description, { isClean: true, lineage: this.#lineage, log })
          if (log !== undefined) this.#checkpoints?.log.trim(log.end)
        })
      }
    } finally {
      directory.keepFiles()
      await this.#checkpoints?.close()
      for (const run of held) run.release()
      await this.#state.close()
      this.#replaced.close()
      await this.#options.afterClose()
    }
  }

  #write(batch: Uint8Array, conditions: Uint8Array): Promise<void> | undefined {
    return conditions.length === 0 ? this.#apply(batch) : this.#conditional.write(batch, conditions)
  }

  /** Every batch goes through here to the core. */
  #apply(batch: Uint8Array): Promise<void> | undefined {
    this.#admit(batch.length)
    const position = this.#checkpoints?.append(batch)
    if (this.#conditional.isWatching) this.#conditional.touchAll(batch)
    const pending = this.#state.held(this.#state.core.write(batch), batch.length)
    return position === undefined ? pending : this.#checkpoints?.acknowledged(position, pending)
  }

  /** Throws when `bytes` more of records cannot be taken. */
  #admit(bytes: number): void {
    this.#checkWritable()
    this.#checkUnchanging()
    this.#state.core.admit(bytes)
    this.#checkpoints?.admit(bytes)
  }

  /** Reads go on when writes are refused, until the engine is closed. */
  #checkOpen(): void {
    if (this.#isClosed) throw this.#refusal!
  }

  #checkWritable(): void {
    if (this.#refusal !== undefined) throw this.#refusal
  }

  #checkUnchanging(): void {
    if (!this.#isChanging) return
    throw new EngineError("WRITES_STALLED", "a restore is about to replace the state: try again in a moment")
  }

  #poison(cause: unknown): void {
    if (this.#refusal !== undefined) return
    const why = cause instanceof Error ? cause.message : String(cause)
    this.#refusal = new EngineError(
      "ENGINE_POISONED",
      `writes are refused since storage failed: ${why}; mend it and open the engine again`,
      { cause },
    )
    this.#conditional.failAll(this.#refusal)
    this.#parts.warn("the partition takes no more writes", cause)
  }

  async #restoreState(options: RestoreOptions): Promise<RestoreResult> {
    const { clock } = this.#parts.seams
    const startedMs = clock.monotonicMs()
    // Versions asked for before stand on their timeline when it is decided whether this one forks it. None come later.
    await this.#snapshots.idle()
    const source = await chooseSource(options, this.#options.identity, this.#parts, {
      line: this.line,
      replaced: this.#replaced,
    })
    const { runs } = source
    // What the state file is going to name must not be merged away meanwhile.
    for (const run of runs) run.retain()
    const old = this.#state
    const replaced = newIdentity(this.#parts)
    try {
      const next = await LiveState.open(this.#parts, this.#options, source.description, runs)
      try {
        // Nearly all of it while writes go on; what came meanwhile is little, and writers wait for that.
        for (const run of (await old.settle()).runs) run.release()
        await this.#exclusively(() => this.#changePlaces(next, source, replaced))
      } catch (error) {
        await next.close()
        throw error
      }
    } finally {
      for (const run of runs) run.release()
    }
    this.#replaced.trim()
    await old.close()
    // The state is in place: what goes wrong from here on costs space only.
    await this.#removeUnused().catch((error: unknown) =>
      this.#parts.warn("runs that are not used any more could not be removed", error),
    )
    const { version, timeline, metadata } = this.position
    const totalMs = clock.monotonicMs() - startedMs
    // A state that was replaced may hold writes that came after its newest version: no version's metadata fits it.
    if ("replaced" in options) return { version: 0, timeline, metadata: EMPTY, replaced, totalMs }
    return { version, timeline, metadata, replaced, totalMs }
  }

  /** Settles the present state for good, and puts `next` in its place: on disk, and then here. */
  async #changePlaces(next: LiveState, source: RestoreSource, replaced: string): Promise<void> {
    const lineage = newIdentity(this.#parts)
    this.#isChanging = true
    try {
      const settled = await this.#state.settle()
      this.#checkpoints?.hold(settled.runs)
      this.#replaced.add(replaced, settled.description, settled.runs)
      let log: LogMark | undefined
      try {
        log = await this.#checkpoints?.mark()
        await this.#publish(source.description, { isClean: false, lineage, log })
      } catch (error) {
        this.#replaced.removeLast()
        await this.#takeBack(settled.description, { lineage, log })
        throw error
      }
      if (log !== undefined) {
        for (const run of source.runs) run.retain()
        this.#checkpoints?.published(source.runs, log.from)
      }
    } finally {
      this.#isChanging = false
    }
    this.#state = next
    // Not decided anew: what was meant for one state is not applied to another.
    this.#conditional.failAll(
      new EngineError("RESTORE_IN_PROGRESS", "a restore replaced the state before the conditions were read"),
    )
    this.#crashedLine = undefined
    this.#lineage = lineage
    this.#snapshots = new SnapshotQueue(next, this.#options.identity, this.#parts, this.#checkpoints)
  }

  #publish(
    present: StateDescription,
    marks: { isClean: boolean; lineage: string; log: LogMark | undefined },
  ): Promise<void> {
    const { store, partition, engine } = this.#options.identity
    const { directory, seams } = this.#parts
    return publishStateFile(seams.fileSystem, directory.directory, {
      format: marks.log === undefined ? 1 : 2,
      engine,
      store,
      partition,
      ...marks,
      present,
      replaced: this.#replaced.list,
    })
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
        this.#publish(present, { isClean: false, lineage: this.#lineage, log }),
      warn: this.#parts.warn,
      clock: this.#parts.seams.clock,
      poison: (error: unknown) => this.#poison(error),
    }
    return new Checkpoints(host, durable, mark !== undefined)
  }

  /** While nothing else publishes the state file. */
  #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#checkpoints === undefined ? work() : this.#checkpoints.exclusively(work)
  }

  /** The state file may name the state of a restore that failed: then it names the present one again. */
  async #takeBack(
    present: StateDescription,
    failed: { lineage: string; log: LogMark | undefined },
  ): Promise<void> {
    const { directory, seams } = this.#parts
    try {
      const file = await readStateFile(seams.fileSystem, directory.directory)
      if (file?.lineage !== failed.lineage) return
      await this.#publish(present, { isClean: false, lineage: this.#lineage, log: failed.log })
    } catch (error) {
      this.#poison(error)
    }
  }

  #removeUnused(): Promise<void> {
    return this.#parts.directory.removeUnused(new Set(this.#replaced.runIds()))
  }
}

function restoreInProgress(): EngineError {
  return new EngineError("RESTORE_IN_PROGRESS", "a restore is under way: wait for its end")
}
