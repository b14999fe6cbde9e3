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
import { checkBatch, checkKeyBytes, checkValueBytes, encodeRecord, recordBytes } from "../base/record.ts"
import type { EngineDefinition } from "../core.ts"
import type {
  Engine,
  EngineStatistics,
  KeyValue,
  Recovery,
  RestoreOptions,
  RestoreResult,
  ScanOptions,
  SnapshotOptions,
  SnapshotResult,
} from "../engine.ts"
import type { RunFigures } from "../runs/run.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { VersionName, VersionSummary } from "../snapshots/manifest.ts"
import {
  newestOnLine,
  newTimelineId,
  openLine,
  resolveVersion,
  startsNewTimeline,
} from "../snapshots/timeline.ts"
import { LiveState, type PartitionIdentity, type PartitionParts } from "./live-state.ts"
import { ReplacedStates } from "./replaced-states.ts"
import {
  checkManifest,
  describedSource,
  emptySource,
  type RestoreSource,
  versionSource,
} from "./restore-source.ts"
import { SnapshotQueue } from "./snapshot-queue.ts"
import { publishStateFile, readStateFile, STATE_FORMAT, type StateDescription } from "./state-file.ts"

const EMPTY = new Uint8Array(0)

export interface PartitionEngineOptions<Settings> {
  readonly identity: PartitionIdentity
  readonly definition: EngineDefinition<Settings>
  readonly settings: Settings
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
    opened: {
      readonly parts: PartitionParts
      readonly state: LiveState
      readonly replaced: ReplacedStates
      readonly recovery: Recovery
      readonly lineage: string
    },
  ) {
    this.name = options.definition.name
    this.recovery = opened.recovery
    this.#options = options
    this.#parts = opened.parts
    this.#replaced = opened.replaced
    this.#state = opened.state
    this.#lineage = opened.lineage
    this.#snapshots = new SnapshotQueue(opened.state, options.identity, opened.parts)
  }

  /**
   * Opens what the directory holds: after a clean stop the state as it was, otherwise an empty one.
   * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `ENGINE_MISMATCH`, `STORAGE_FAILED`
   */
  static async open<Settings>(options: PartitionEngineOptions<Settings>): Promise<PartitionEngine<Settings>> {
    const { definition } = options
    const { directory, seams } = options.parts
    let engine: PartitionEngine<Settings> | undefined
    let early: unknown
    const poison = (error: unknown): void => {
      if (engine === undefined) early ??= error
      else engine.#poison(error)
    }
    const parts: PartitionParts = { ...options.parts, poison }
    const file = await readStateFile(seams.fileSystem, directory.directory)
    if (file !== undefined && file.engine !== definition.name) {
      throw new EngineError(
        "ENGINE_MISMATCH",
        `${directory.directory} holds a state of the engine ${file.engine}, not of ${definition.name}`,
      )
    }
    const replaced = new ReplacedStates(seams.clock)
    await replaced.open(file?.replaced ?? [], directory, (handle, error) =>
      parts.warn(`the replaced state ${handle} is not whole any more and was given up`, error),
    )
    const recovery: Recovery = file === undefined ? "new" : file.isClean ? "continued" : "crashed"
    let source: RestoreSource
    let state: LiveState
    try {
      source =
        file !== undefined && recovery === "continued"
          ? await describedSource(directory, file.present)
          : emptySource(newTimelineId(seams.clock, seams.random), randomSeed(seams.random.bytes(4)))
      state = await LiveState.open(parts, options, source.description, source.runs)
    } catch (error) {
      directory.keepFiles()
      replaced.close()
      throw error
    }
    const lineage = file !== undefined && recovery === "continued" ? file.lineage : newIdentity(parts)
    engine = new PartitionEngine(options, { parts, state, replaced, recovery, lineage })
    if (file !== undefined && recovery === "crashed") {
      engine.#crashedLine = openLine(file.present.line, file.present.timeline)
    }
    if (early !== undefined) engine.#poison(early)
    // Until a restore puts another state in its place, the line of the lost one is what a second crash asks for.
    const { line, timeline } =
      file !== undefined && recovery === "crashed" ? file.present : source.description
    try {
      await engine.#publish({ ...source.description, line, timeline }, { isClean: false, lineage })
      if (recovery !== "crashed") await engine.#removeUnused()
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
    checkKeyBytes(key.length)
    checkValueBytes(value.length, this.#parts.valueBytesMax)
    this.#checkWritable()
    this.#checkUnchanging()
    const { core } = this.#state
    core.admit(recordBytes(key.length, value.length))
    return core.set(key, value)
  }

  delete(key: Uint8Array): Promise<void> | undefined {
    return this.set(key, EMPTY)
  }

  write(records: readonly KeyValue[]): Promise<void> | undefined {
    for (const { key, value } of records) {
      checkKeyBytes(key.length)
      checkValueBytes(value.length, this.#parts.valueBytesMax)
    }
    return this.#writeChecked(Buffer.concat(records.map(({ key, value }) => encodeRecord(key, value))))
  }

  writeEncoded(batch: Uint8Array): { recordCount: number; pending: Promise<void> | undefined } {
    const { recordCount } = checkBatch(batch, this.#parts.valueBytesMax)
    return { recordCount, pending: this.#writeChecked(batch) }
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
    const name = resolveVersion(await this.listVersions(), { version, timeline }, this.line)
    await this.#parts.repository.deleteVersion(store, partition, name)
  }

  async pinVersion(version: number, pinned: boolean, timeline?: string): Promise<void> {
    const { store, partition } = this.#options.identity
    const name = resolveVersion(await this.listVersions(), { version, timeline }, this.line)
    await this.#parts.repository.pin(store, partition, name, pinned)
  }

  statistics(): EngineStatistics {
    const { core, runs, merger } = this.#state
    return {
      ...core.statistics(),
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
    this.#parts.directory.keepFiles()
    await this.#state.close()
    this.#replaced.close()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const poisoned = this.#refusal
    this.#refusal = new EngineError("ENGINE_CLOSED", "the engine is closed")
    const { directory } = this.#parts
    await this.#restore?.catch(() => undefined)
    await this.#snapshots.idle()
    let held: readonly OpenRun[] = []
    try {
      if (poisoned === undefined) {
        await this.#state.merger?.close()
        const { description, runs } = await this.#state.settle()
        held = runs
        await this.#publish(description, { isClean: true, lineage: this.#lineage })
      }
    } finally {
      directory.keepFiles()
      for (const run of held) run.release()
      await this.#state.close()
      this.#replaced.close()
      await this.#options.afterClose()
    }
  }

  #writeChecked(batch: Uint8Array): Promise<void> | undefined {
    this.#checkWritable()
    this.#checkUnchanging()
    const { core } = this.#state
    core.admit(batch.length)
    return core.write(batch)
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
    this.#parts.warn("the partition takes no more writes", cause)
  }

  async #restoreState(options: RestoreOptions): Promise<RestoreResult> {
    const { clock } = this.#parts.seams
    const startedMs = clock.monotonicMs()
    const source = await this.#sourceOf(options)
    const next = await LiveState.open(this.#parts, this.#options, source.description, source.runs)
    const replaced = newIdentity(this.#parts)
    const lineage = newIdentity(this.#parts)
    try {
      await this.#snapshots.idle()
      // Nearly all of it while writes go on; what came meanwhile is little, and writers wait for that.
      for (const run of (await this.#state.settle()).runs) run.release()
      this.#isChanging = true
      const settled = await this.#state.settle()
      this.#replaced.add(replaced, settled.description, settled.runs)
      try {
        await this.#publish(source.description, { isClean: false, lineage })
      } catch (error) {
        this.#replaced.removeLast()
        await this.#takeBack(settled.description, lineage)
        throw error
      }
    } catch (error) {
      this.#isChanging = false
      await next.close()
      throw error
    }
    this.#isChanging = false
    this.#replaced.trim()
    const old = this.#state
    this.#state = next
    this.#crashedLine = undefined
    this.#lineage = lineage
    this.#snapshots = new SnapshotQueue(next, this.#options.identity, this.#parts)
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

  async #sourceOf(options: RestoreOptions): Promise<RestoreSource> {
    const { repository, directory, seams } = this.#parts
    const { store, partition, partitionCount, engine } = this.#options.identity
    const newTimeline = options.newTimeline ?? newTimelineId(seams.clock, seams.random)
    if ("empty" in options) return emptySource(newTimeline, randomSeed(seams.random.bytes(4)))
    if ("replaced" in options) {
      const { state, runs } = this.#replaced.get(options.replaced)
      // Its own timeline may have gone on without it.
      return { description: { ...state, timeline: newTimeline }, runs }
    }
    const versions = await this.listVersions()
    const name =
      "version" in options
        ? resolveVersion(versions, options, this.line)
        : (newestOnLine(versions, this.line) ?? versions.at(-1))
    if (name === undefined) {
      throw new EngineError("SNAPSHOT_NOT_FOUND", `partition ${partition} of ${store} has no version yet`)
    }
    const manifest = await repository.readManifest(store, partition, name)
    checkManifest(manifest, engine, partitionCount)
    // Who restores several partitions together decides for all of them.
    const isForked = options.newTimeline !== undefined || startsNewTimeline([versions], name)
    const timeline = isForked ? newTimeline : name.timeline
    return versionSource(repository, directory, manifest, timeline)
  }

  #publish(present: StateDescription, marks: { isClean: boolean; lineage: string }): Promise<void> {
    const { store, partition, engine } = this.#options.identity
    const { directory, seams } = this.#parts
    return publishStateFile(seams.fileSystem, directory.directory, {
      format: STATE_FORMAT,
      engine,
      store,
      partition,
      ...marks,
      present,
      replaced: this.#replaced.list,
    })
  }

  /** The state file may name the state of a restore that failed: then it names the present one again. */
  async #takeBack(present: StateDescription, lineage: string): Promise<void> {
    const { directory, seams } = this.#parts
    try {
      const file = await readStateFile(seams.fileSystem, directory.directory)
      if (file?.lineage !== lineage) return
      await this.#publish(present, { isClean: false, lineage: this.#lineage })
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

/** 128 random bits as 32 hex digits. */
function newIdentity({ seams }: PartitionParts): string {
  return Buffer.from(seams.random.bytes(16)).toString("hex")
}

function randomSeed(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
}
