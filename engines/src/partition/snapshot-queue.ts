// Snapshots of one state: each is sealed when it is asked for, and they are committed one after the other.
//
//   seal 1   seal 2   seal 3              in the turns of the calls; a seal is a few assignments
//      flush 1 ── flush 2 ── flush 3      the core's own order
//         commit 1 ──── commit 2 ──── …   store what the repository lacks, then the manifest
//
// One that fails leaves nothing behind but chunks that nobody lists, and the next one goes on without it.
//
// A commit that was held up for longer than a writer may trust what it has read (a process that was stopped) looks
// again whether all that it lists is there, before it is acknowledged: snapshots/condemned-packs.ts.

import { EngineError } from "../base/error.ts"
import type { SnapshotOptions, SnapshotResult } from "../engine.ts"
import type { OpenRun } from "../runs/run-set.ts"
import { TRUST_MS } from "../snapshots/condemned-packs.ts"
import { ElapsedTime } from "../snapshots/elapsed-time.ts"
import {
  METADATA_BYTES_MAX,
  manifestFormatOf,
  type StoredRun,
  type VersionName,
} from "../snapshots/manifest.ts"
import type { SavedSessions } from "../snapshots/saved-sessions.ts"
import { extendLine } from "../snapshots/timeline.ts"
import { nothingSince, type Written } from "./changes.ts"
import type { Checkpoints } from "./checkpoints.ts"
import type { LiveState, PartitionIdentity, PartitionParts } from "./live-state.ts"
import type { PartitionOwner } from "./partition-owner.ts"

/** A version that is sealed and not committed yet. */
interface Draft {
  readonly version: number
  readonly metadata: Uint8Array
  readonly createdMs: number
  readonly recordCount: number
  readonly sessions: SavedSessions | undefined
  /** What had been written. */
  readonly written: Written
  /** On the monotonic clock. */
  readonly sealedMs: number
  /** Where the log went on, and when everything before is durable; 0 without a log. */
  readonly from: number
  readonly flushed: Promise<{
    readonly runs: readonly OpenRun[]
    readonly engineState: unknown
    /** How long that took. */
    readonly flushMs: number
  }>
}

export class SnapshotQueue {
  readonly #state: LiveState
  readonly #identity: PartitionIdentity
  readonly #parts: PartitionParts
  readonly #checkpoints: Checkpoints | undefined
  readonly #owner: PartitionOwner
  /** The newest version sealed, committed or not. */
  #sealedVersion: number
  #lastCommit: Promise<unknown> = Promise.resolve()

  /** @param checkpoints under durability `log`: of the same partition */
  constructor(
    state: LiveState,
    identity: PartitionIdentity,
    parts: PartitionParts,
    checkpoints: Checkpoints | undefined,
    owner: PartitionOwner,
  ) {
    this.#checkpoints = checkpoints
    this.#owner = owner
    this.#state = state
    this.#identity = identity
    this.#parts = parts
    this.#sealedVersion = state.version
  }

  /** See `Engine.snapshot`: the state is fixed when the call returns. */
  async snapshot({ version, metadata }: Required<SnapshotOptions>): Promise<SnapshotResult> {
    // An async function runs to its first await in the caller's turn.
    this.#check(version, metadata)
    const { clock } = this.#parts.seams
    const startedMs = clock.monotonicMs()
    const draft = this.#seal(version, metadata)
    const sealMs = clock.monotonicMs() - startedMs
    const { listed } = this.#state
    listed.draftCount++
    const committed = this.#lastCommit.then(() => this.#commit(draft))
    this.#lastCommit = committed.catch(() => undefined)
    // A flush that fails is reported by the commit, which may still wait for the one before it.
    draft.flushed.catch(() => undefined)
    try {
      return { ...(await committed), sealMs, totalMs: clock.monotonicMs() - startedMs }
    } finally {
      listed.draftCount--
      if (listed.draftCount === 0) {
        this.#sealedVersion = this.#state.version
        listed.keepOnly(this.#state.runs.newestFirst)
      }
    }
  }

  /** Resolves when all versions sealed so far are committed or have failed. */
  async idle(): Promise<void> {
    await this.#lastCommit
  }

  #check(version: number, metadata: Uint8Array): void {
    if (!Number.isSafeInteger(version) || version < 1) {
      throw new EngineError(
        "VERSION_INVALID",
        `${version} is no version: it is a whole number from 1 to 2^53 - 1`,
      )
    }
    if (version <= this.#sealedVersion) {
      throw new EngineError(
        "VERSION_NOT_ASCENDING",
        `version ${version} is not above ${this.#sealedVersion}, the newest one of partition ${this.#identity.partition}`,
      )
    }
    if (metadata.length > METADATA_BYTES_MAX) {
      throw new EngineError(
        "METADATA_TOO_LARGE",
        `the metadata has ${metadata.length} bytes; at most ${METADATA_BYTES_MAX} are allowed`,
      )
    }
  }

  #seal(version: number, metadata: Uint8Array): Draft {
    const { core, runs } = this.#state
    const sessions = this.#state.sessions.describe()
    const createdMs = this.#parts.seams.clock.nowMs()
    const { recordCount, recordsWritten, bytesWritten } = core.statistics()
    const seal = core.seal()
    this.#sealedVersion = version
    runs.version = version
    const sealedMs = this.#parts.seams.clock.monotonicMs()
    const flushed = core.flush(seal).then((held) => ({
      runs: held,
      engineState: core.engineState(),
      flushMs: this.#parts.seams.clock.monotonicMs() - sealedMs,
    }))
    const from = this.#checkpoints?.log.end ?? 0
    const written = { recordsWritten, bytesWritten }
    const content = { version, metadata: new Uint8Array(metadata), createdMs, recordCount, sessions }
    return { ...content, written, sealedMs, from, flushed }
  }

  async #commit(draft: Draft): Promise<Omit<SnapshotResult, "sealMs" | "totalMs">> {
    const state = this.#state
    const { clock } = this.#parts.seams
    const turnMs = clock.monotonicMs()
    const { runs, engineState, flushMs } = await draft.flushed
    try {
      // A version holds nothing that a crash could still take from the state that it is a version of.
      await this.#checkpoints?.log.synced(draft.from - 1)
      const readyMs = clock.monotonicMs()
      const elapsed = new ElapsedTime(clock)
      const stored = await state.listed.store(runs)
      const storedMs = clock.monotonicMs()
      const name = { timeline: state.timeline, version: draft.version }
      const line = extendLine(state.line, name)
      const { store, partition, partitionCount, engine } = this.#identity
      await this.#owner.commit({
        format: manifestFormatOf(draft),
        store,
        partition,
        partitionCount,
        ...name,
        parent: state.line.at(-1) ?? null,
        line,
        createdMs: draft.createdMs,
        engine,
        hashSeed: state.hashSeed,
        runs: stored.runs,
        engineState,
        metadata: Buffer.from(draft.metadata).toString("base64"),
        ...(draft.sessions === undefined ? {} : { sessions: draft.sessions }),
        recordCount: draft.recordCount,
        bytesNew: stored.bytesNew,
        bytesReused: stored.bytesReused,
      })
      if (elapsed.ms() > TRUST_MS) await this.#checkLate(name, stored.runs)
      state.line = line
      state.metadata = draft.metadata
      state.changes.committed(draft.createdMs, draft.written)
      if (this.#checkpoints !== undefined) {
        for (const run of runs) run.retain()
        const since = nothingSince(draft.createdMs)
        const description = state.describe(runs, engineState, draft.sessions, since)
        this.#checkpoints.committed(state, { description, runs: [...runs], from: draft.from })
      }
      // The repository answers: what could not be uploaded behind the versions is tried again.
      state.uploads.goOn()
      const { bytesNew, bytesReused, chunksNew, chunksReused, chunkMs, uploadMs } = stored
      const waitMs = Math.max(0, turnMs - draft.sealedMs - flushMs)
      const stages = {
        flushMs: readyMs - draft.sealedMs - waitMs,
        waitMs,
        chunkMs: chunkMs + Math.max(0, storedMs - readyMs - chunkMs - uploadMs),
        uploadMs,
        commitMs: clock.monotonicMs() - storedMs,
      }
      return { ...name, bytesNew, bytesReused, chunksNew, chunksReused, stages }
    } finally {
      for (const run of runs) run.release()
    }
  }

  /** Takes the version back when garbage collection may have removed what it lists. @throws (rejects) EngineError */
  async #checkLate(name: VersionName, runs: readonly StoredRun[]): Promise<void> {
    const { repository } = this.#parts
    if ((await repository.endangered(runs)).going.size === 0) return
    const { store, partition } = this.#identity
    await repository.deleteVersion(store, partition, name)
    throw new EngineError(
      "REPOSITORY_FAILED",
      `version ${name.version} of partition ${partition} of store ${store} took so long that garbage collection has ` +
        `removed chunks that it needs: it was taken back, and may be taken again`,
    )
  }
}
