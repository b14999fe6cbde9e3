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
import type { RunDirectory } from "../runs/run-directory.ts"
import type { OpenRun } from "../runs/run-set.ts"
import {
  MANIFEST_FORMAT,
  type Manifest,
  type StoredRun,
  type VersionName,
  type VersionSummary,
} from "../snapshots/manifest.ts"
import {
  extendLine,
  newestOnLine,
  newTimelineId,
  resolveVersion,
  startsNewTimeline,
} from "../snapshots/timeline.ts"
import { LiveState, type PartitionParts } from "./live-state.ts"
import { ReplacedStates } from "./replaced-states.ts"
import { checkManifest, emptySource, type RestoreSource, versionSource } from "./restore-source.ts"
import { publishStateFile, readStateFile, STATE_FORMAT, type StateDescription } from "./state-file.ts"

/** Longest metadata of a version, in bytes. */
export const METADATA_BYTES_MAX = 1024 * 1024
const EMPTY = new Uint8Array(0)

/** Who the partition is. */
export interface PartitionIdentity {
  readonly store: string
  readonly partition: number
  readonly partitionCount: number
}

export interface PartitionEngineOptions<Settings> extends PartitionIdentity {
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
  /** The newest version sealed, committed or not. */
  #sealedVersion: number
  /** Snapshots that are sealed and not yet committed, and the end of the last of them. */
  #pendingSnapshotCount = 0
  #lastCommit: Promise<unknown> = Promise.resolve()
  #restore: Promise<unknown> | undefined
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
    this.#sealedVersion = opened.state.version
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
    const source =
      file !== undefined && recovery === "continued"
        ? await openSource(directory, file.present)
        : emptySource(newTimelineId(seams.clock, seams.random), randomSeed(seams.random.bytes(4)))
    const state = await LiveState.open(parts, options, source.description, source.runs)
    const lineage = file !== undefined && recovery === "continued" ? file.lineage : newIdentity(parts)
    engine = new PartitionEngine(options, { parts, state, replaced, recovery, lineage })
    if (file !== undefined && recovery === "crashed") {
      engine.#crashedLine = openLine(file.present.line, file.present.timeline)
    }
    if (early !== undefined) engine.#poison(early)
    await engine.#publish(source.description, { isClean: false, lineage })
    if (recovery !== "crashed") await engine.#removeUnused()
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
    // Everything up to the flush happens before the call returns: an async function runs to its first await.
    this.#checkWritable()
    if (this.#restore !== undefined) throw restoreInProgress()
    this.#checkVersion(version)
    if (metadata.length > METADATA_BYTES_MAX) {
      throw new EngineError(
        "METADATA_TOO_LARGE",
        `the metadata has ${metadata.length} bytes; at most ${METADATA_BYTES_MAX} are allowed`,
      )
    }
    const { clock } = this.#parts.seams
    const startedMs = clock.monotonicMs()
    const state = this.#state
    const createdMs = clock.nowMs()
    const { recordCount } = state.core.statistics()
    const seal = state.core.seal()
    const sealMs = clock.monotonicMs() - startedMs
    this.#sealedVersion = version
    state.runs.version = version
    const flushed = state.core.flush(seal).then((runs) => ({ runs, engineState: state.core.engineState() }))
    const draft = { version, metadata: new Uint8Array(metadata), createdMs, recordCount }
    this.#pendingSnapshotCount++
    const committed = this.#lastCommit.then(() => this.#commit(state, draft, flushed))
    this.#lastCommit = committed.catch(() => undefined)
    // A flush that fails is reported by the commit, which may still wait for the one before it.
    flushed.catch(() => undefined)
    try {
      const result = await committed
      return { ...result, sealMs, totalMs: clock.monotonicMs() - startedMs }
    } finally {
      this.#pendingSnapshotCount--
      if (this.#pendingSnapshotCount === 0) {
        this.#sealedVersion = this.#state.version
        this.#state.listed.keepOnly(this.#state.runs.newestFirst)
      }
    }
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
    const { store, partition } = this.#options
    return this.#parts.repository.listVersions(store, partition)
  }

  async deleteVersion(version: number, timeline?: string): Promise<void> {
    const { store, partition } = this.#options
    const name = resolveVersion(await this.listVersions(), { version, timeline }, this.line)
    await this.#parts.repository.deleteVersion(store, partition, name)
  }

  async pinVersion(version: number, pinned: boolean, timeline?: string): Promise<void> {
    const { store, partition } = this.#options
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

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const poisoned = this.#refusal
    this.#refusal = new EngineError("ENGINE_CLOSED", "the engine is closed")
    const { directory } = this.#parts
    await this.#restore?.catch(() => undefined)
    await this.#lastCommit
    try {
      if (poisoned === undefined) {
        await this.#state.merger?.close()
        const { description, runs } = await this.#state.settle()
        await this.#publish(description, { isClean: true, lineage: this.#lineage })
        for (const run of runs) run.release()
      }
    } finally {
      directory.keepFiles()
      await this.#state.close()
      this.#replaced.close()
      await this.#options.afterClose()
    }
  }

  #writeChecked(batch: Uint8Array): Promise<void> | undefined {
    this.#checkWritable()
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

  #checkVersion(version: number): void {
    if (!Number.isSafeInteger(version) || version < 1) {
      throw new EngineError(
        "VERSION_INVALID",
        `${version} is no version: it is a whole number from 1 to 2^53 - 1`,
      )
    }
    if (version <= this.#sealedVersion) {
      throw new EngineError(
        "VERSION_NOT_ASCENDING",
        `version ${version} is not above ${this.#sealedVersion}, the newest one of partition ${this.#options.partition}`,
      )
    }
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

  async #commit(
    state: LiveState,
    draft: { version: number; metadata: Uint8Array; createdMs: number; recordCount: number },
    flushed: Promise<{ runs: readonly OpenRun[]; engineState: unknown }>,
  ): Promise<Omit<SnapshotResult, "sealMs" | "totalMs">> {
    const { runs, engineState } = await flushed
    try {
      const stored = await state.listed.store(runs)
      const name = { timeline: state.timeline, version: draft.version }
      const line = extendLine(state.line, name)
      await this.#parts.repository.commit({
        ...this.#manifestOf(state, stored.runs),
        ...name,
        parent: state.line.at(-1) ?? null,
        line,
        createdMs: draft.createdMs,
        engineState,
        metadata: Buffer.from(draft.metadata).toString("base64"),
        recordCount: draft.recordCount,
        bytesNew: stored.bytesNew,
        bytesReused: stored.bytesReused,
      })
      state.line = line
      state.metadata = draft.metadata
      const { bytesNew, bytesReused, chunksNew, chunksReused } = stored
      return { ...name, bytesNew, bytesReused, chunksNew, chunksReused }
    } finally {
      for (const run of runs) run.release()
    }
  }

  #manifestOf(
    state: LiveState,
    runs: readonly StoredRun[],
  ): Pick<Manifest, "format" | "store" | "partition" | "partitionCount" | "engine" | "hashSeed" | "runs"> {
    const { store, partition, partitionCount, definition } = this.#options
    const { hashSeed } = state
    return {
      format: MANIFEST_FORMAT,
      store,
      partition,
      partitionCount,
      engine: definition.name,
      hashSeed,
      runs,
    }
  }

  async #restoreState(options: RestoreOptions): Promise<RestoreResult> {
    const { clock } = this.#parts.seams
    const startedMs = clock.monotonicMs()
    const source = await this.#sourceOf(options)
    const next = await LiveState.open(this.#parts, this.#options, source.description, source.runs)
    const replaced = newIdentity(this.#parts)
    const lineage = newIdentity(this.#parts)
    try {
      await this.#lastCommit
      const settled = await this.#state.settle()
      this.#replaced.add(replaced, settled.description, settled.runs)
      try {
        await this.#publish(source.description, { isClean: false, lineage })
      } catch (error) {
        this.#replaced.removeLast()
        throw error
      }
    } catch (error) {
      await next.close()
      throw error
    }
    const old = this.#state
    this.#state = next
    this.#crashedLine = undefined
    this.#lineage = lineage
    this.#sealedVersion = next.version
    await old.close()
    await this.#removeUnused()
    const { version, timeline, metadata } = this.position
    return { version, timeline, metadata, replaced, totalMs: clock.monotonicMs() - startedMs }
  }

  async #sourceOf(options: RestoreOptions): Promise<RestoreSource> {
    const { repository, directory, seams } = this.#parts
    const { store, partition, partitionCount, definition } = this.#options
    const newTimeline = options.newTimeline ?? newTimelineId(seams.clock, seams.random)
    if ("empty" in options) return emptySource(newTimeline, randomSeed(seams.random.bytes(4)))
    if ("replaced" in options) {
      const { state, runs } = this.#replaced.get(options.replaced)
      return { description: state, runs }
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
    checkManifest(manifest, definition.name, partitionCount)
    // Who restores several partitions together decides for all of them.
    const isForked = options.newTimeline !== undefined || startsNewTimeline([versions], name)
    const timeline = isForked ? newTimeline : name.timeline
    return versionSource(repository, directory, manifest, timeline)
  }

  #publish(present: StateDescription, marks: { isClean: boolean; lineage: string }): Promise<void> {
    const { store, partition, definition } = this.#options
    const { directory, seams } = this.#parts
    return publishStateFile(seams.fileSystem, directory.directory, {
      format: STATE_FORMAT,
      engine: definition.name,
      store,
      partition,
      ...marks,
      present,
      replaced: this.#replaced.list,
    })
  }

  #removeUnused(): Promise<void> {
    return this.#parts.directory.removeUnused(new Set(this.#replaced.runIds()))
  }
}

/** The line with all versions that may follow on `timeline`. */
function openLine(line: readonly VersionName[], timeline: string): VersionName[] {
  const before = line.filter((stretch) => stretch.timeline !== timeline)
  return [...before, { timeline, version: Number.MAX_SAFE_INTEGER }]
}

async function openSource(directory: RunDirectory, description: StateDescription): Promise<RestoreSource> {
  const runs: OpenRun[] = []
  try {
    for (const figures of description.runs) runs.push(await directory.open(figures))
  } catch (error) {
    for (const run of runs) run.release()
    throw error
  }
  return { description, runs }
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
