// The page to read first: what an engine is to its callers. Four engines, one behaviour; a caller cannot
// tell them apart except by speed, memory and what survives.
//
//     const engine = await openEngine({ engine: "hybrid-log", directory, repository: "file:/…" })
//     engine.set(key, value)                         applied when this returns
//     const value = engine.get(key)                  bytes, undefined, or a promise when the disk must be asked
//     await engine.snapshot({ version: 7, metadata })
//     await engine.restore({ version: 7 })
//     await engine.close()
//
// The one rule of order: **a call takes effect when it is made.** A write can be read as soon as the call
// returns; a promise that it returns says only when the caller may go on (memory is full, a flush is behind).
// A read answers the state of the moment of the call, even when its promise resolves after later writes.
// Calls therefore never race: their order is the order in which they were made.
//
// The one exception: a write with conditions whose keys are on disk takes effect after the call, as a whole and in
// one turn, before its promise resolves. Calls made meanwhile come before it, and its conditions see their effects.
//
// One thread owns an engine. Bytes that are passed in belong to the caller again when the call returns;
// bytes that come out belong to the caller. Values may share an ArrayBuffer with others that were handed out: copy one
// before its buffer is transferred to another thread, and before it is kept for long by itself.

import type { ReadBudget } from "./base/read-budget.ts"
import type { EngineStatistics } from "./engine-statistics.ts"
import type { RestoreMode } from "./partition/open-runs.ts"
import type { RunFigures } from "./runs/run.ts"
import type { VersionName, VersionSummary } from "./snapshots/manifest.ts"

/** All engines. */
export const engineNames = ["memory", "append-log", "hybrid-log", "lsm-tree"] as const
/** An engine. */
export type EngineName = (typeof engineNames)[number]

/** A key and its value. */
export interface KeyValue {
  /** 1 to 65 535 bytes. */
  readonly key: Uint8Array
  /** Empty: the key is deleted (in writes), or only keys were asked for (in scans). */
  readonly value: Uint8Array
}

/** A record of a batch that is applied only if its key is as expected. */
export interface ConditionalRecord extends KeyValue {
  /** The key has no value. */
  readonly ifAbsent?: boolean
  /** The key's present value is exactly this; empty: it has none. */
  readonly ifValue?: Uint8Array
}

/** For `write`. */
export interface WriteOptions {
  /**
   * Conditions: the batch is applied only if each of these is the present value of its key (empty: the key has
   * none). They may name keys that the batch does not write.
   */
  readonly expected?: readonly KeyValue[]
}

/**
 * Where a batch stands among those of its sender, who may send it again when no answer came: it is applied once. The
 * partition keeps what came of the last 64 sequences of each of 1024 sessions, inside its state: after a crash, a restore
 * or a move it knows exactly the frames that its records come from.
 */
export interface SequencedFrame {
  /** Identity of the sender, 16 random bytes. */
  readonly session: Uint8Array
  /** 1, 2, 3 and so on in a session and partition; given once, the same when it is sent again with the same bytes. */
  readonly sequence: number
  /** How many right before it have no answer yet. All before those never come again. Below `sequence`. */
  readonly unanswered: number
  /** It may have come before: when the session is forgotten it is refused. */
  readonly resent: boolean
  /** Called once, when the frame was not here before: what it throws refuses the frame, and is remembered. */
  admit?(): void
}

/** For `scan`. */
export interface ScanOptions {
  /** Only keys that start with these bytes. */
  readonly prefix?: Uint8Array
  /** Only keys of `[start, end)`, compared as unsigned bytes. */
  readonly start?: Uint8Array
  /** The first key behind the range; it is not in it. */
  readonly end?: Uint8Array
  /** Leaves the values empty. */
  readonly keysOnly?: boolean
}

/** For `snapshot`. */
export interface SnapshotOptions {
  /** 1 to 2^53 - 1, above every version on the current timeline's line since the restored one; gaps allowed. */
  readonly version: number
  /** Up to 1 MiB, stored inside the version and given back at restore. */
  readonly metadata?: Uint8Array
}

/** What a committed version cost. */
export interface SnapshotResult {
  /** Its number. */
  readonly version: number
  /** The timeline that it stands on. */
  readonly timeline: string
  /** Bytes stored for this version: packs, with the chunks and recipes in them. */
  readonly bytesNew: number
  /** Bytes of its runs that the repository held already: whole runs, and chunks of those that were stored. */
  readonly bytesReused: number
  /** Chunks that were stored. */
  readonly chunksNew: number
  /** Chunks of the runs that were stored which the repository held already; runs that it held whole are not looked at. */
  readonly chunksReused: number
  /** How long the caller's thread was held to fix the content, in milliseconds. */
  readonly sealMs: number
  /** From the call to the committed manifest, in milliseconds. */
  readonly totalMs: number
  /** Where the time went behind the seal. */
  readonly stages: SnapshotStages
}

/**
 * Where the time of a version went behind its seal, in milliseconds: one stage follows the other, in this order. Together
 * they are the time from the seal to the commit, but for what the event loop takes between them.
 */
export interface SnapshotStages {
  /** Until what was in memory was in runs on disk and, under durability `log`, all before the seal in the log. */
  readonly flushMs: number
  /** For the version before it, which is committed first. */
  readonly waitMs: number
  /** Cutting new runs into chunks, hashing them, looking them up: reading, processor time, requests for listings. */
  readonly chunkMs: number
  /** Writing packs of new chunks to the repository. */
  readonly uploadMs: number
  /** Writing the manifest, and finding out that the partition is still owned. */
  readonly commitMs: number
}

/** A version that a restore has passed over because it is damaged. */
export interface SkippedVersion extends VersionName {
  /** What is damaged, for people. */
  readonly why: string
}

/** What wrote a version. */
export interface ConvertedFrom {
  /** The engine that wrote the version. */
  readonly engine: string
  /** How many partitions its store had. */
  readonly partitionCount: number
}

/**
 * Which state to put back: a version, the newest one, a replaced state, or none at all. With `fallback` a version that
 * is found damaged is passed over for the newest older one that is not, and the result says so.
 */
export type RestoreTarget =
  | {
      /** The number of a version. */
      readonly version: number
      /** Needed only when the number stands on several timelines. */
      readonly timeline?: string
    }
  | {
      /** The newest version that there is. */
      readonly newest: true
      /** What to do when it is damaged: take the newest older one that is not. */
      readonly fallback?: "previous"
    }
  | {
      /** The handle of a replaced state, from the restore that replaced it. */
      readonly replaced: string
    }
  | {
      /** No records, no version. */
      readonly empty: true
    }

/** Which state to put back, and how. */
export type RestoreOptions = RestoreTarget & {
  /**
   * Names the timeline that the next version starts, whatever this partition's versions are: partitions of one store
   * share it. Without it a new one is started for a replaced state, and for a version that has later ones on its timeline.
   */
  readonly newTimeline?: string
  /**
   * `lazy`: answers when the index of the state is here; records come when they are asked for, and all others in the
   * background. What the repository has lost of them shows only then: `DATA_LOSS` for the keys in it. `eager`: answers
   * when all is here and proven. By default as the engine was opened.
   */
  readonly mode?: RestoreMode
}

/** What was put back. */
export interface RestoreResult {
  /** Zero, and no metadata, when the state put back is no version: a replaced one, which went on after its last. */
  readonly version: number
  /** The timeline that the version stands on. */
  readonly timeline: string
  /** What the caller had stored inside the version. */
  readonly metadata: Uint8Array
  /** Handle of the state that was replaced: `restore({ replaced })` puts it back. */
  readonly replaced: string
  /** From the call to the answer, in milliseconds. */
  readonly totalMs: number
  /** With `fallback`: the damaged versions that came before this one, newest first. */
  readonly skipped: readonly SkippedVersion[]
  /** Set when another engine wrote the version, or another number of partitions: its records were written anew. */
  readonly converted?: ConvertedFrom
}

/**
 * How the state came up when the engine was opened. `replayed`: after a crash under durability `log`; every
 * acknowledged write is there. `overtaken`: `continued` or `replayed`, but another owner has written versions since.
 */
export type Recovery = "new" | "continued" | "replayed" | "crashed" | "overtaken"

/** A partition, open. See `openEngine`; a call takes effect when it is made. */
export interface Engine {
  /** Which engine it is. */
  readonly name: EngineName
  /** How the state came up when it was opened. */
  readonly recovery: Recovery
  /**
   * The epoch under which the partition is owned, higher at each opening. Fenced: another has opened the partition
   * since; every call is refused with `OWNER_FENCED`, but for those that only say what is here.
   */
  readonly owner: {
    /** 1 at the first opening. */
    readonly epoch: number
    /** Whether another has taken the partition. */
    readonly isFenced: boolean
  }
  /**
   * Changes whenever the state was replaced by another: a restore, or a crash that lost writes. It survives a
   * clean stop. A worker that remembers it knows whether the state is still the one it wrote to.
   */
  readonly lineage: string
  /** The newest version on the current line: number (0: none), its timeline and metadata. */
  readonly position: {
    /** 0: there is none. */
    readonly version: number
    /** The timeline that it stands on. */
    readonly timeline: string
    /** Empty when there is no version. */
    readonly metadata: Uint8Array
    /** When it was sealed, in milliseconds since 1970; 0: there is none, or it could not be found out after an upgrade. */
    readonly sealedMs: number
  }
  /**
   * The line that the state stands on, open at its end: a version is on it when it is on one of these timelines and
   * not above the number there. After a crash: the line that the lost state stood on; overtaken: none known.
   */
  readonly line: readonly VersionName[]

  /**
   * The value of `key`, owned by the caller; `undefined` when there is none. Other values may lie in the same
   * ArrayBuffer: its bytes may be changed, but not its buffer be transferred or detached.
   * @throws EngineError `KEY_EMPTY`, `KEY_TOO_LARGE`, `OWNER_FENCED`; rejects with `DATA_LOSS`
   */
  get(key: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>
  /**
   * Values in the order of `keys`; one promise for all when any needs the disk. With a budget, `NOT_READ` for those that
   * came when it was spent.
   */
  getMany(
    keys: readonly Uint8Array[],
    budget?: ReadBudget,
  ): (Uint8Array | undefined)[] | Promise<(Uint8Array | undefined)[]>
  /**
   * Sets one key; an empty value deletes it.
   * @throws EngineError `KEY_EMPTY`, `KEY_TOO_LARGE`, `VALUE_TOO_LARGE`, `WRITES_STALLED`, `STORAGE_FULL`,
   * `ENGINE_POISONED`, `OWNER_FENCED`; nothing was then applied
   */
  set(key: Uint8Array, value: Uint8Array): Promise<void> | undefined
  /** Deletes one key; it need not be there. @throws EngineError as `set` */
  delete(key: Uint8Array): Promise<void> | undefined
  /**
   * Applies records in order, all or none. With conditions: when all of them hold for the state before the batch,
   * otherwise nothing of it; numbered in messages are those of `expected` first, then those of the records.
   *
   * Conditions whose keys are in memory are decided in the turn of the call: it throws when one does not hold.
   * With keys on disk a promise comes back; when it rejects, nothing was applied, unless the engine was poisoned. A
   * restore meanwhile rejects it (`RESTORE_IN_PROGRESS`): what was meant for one state is not applied to another.
   * @throws as `set`; with conditions also `CONDITION_FAILED`, `BATCH_TOO_LARGE` when there are too many, and
   * `WRITES_STALLED` when too many wait for the disk; rejects with the same and with `DATA_LOSS`
   */
  write(records: readonly ConditionalRecord[], options?: WriteOptions): Promise<void> | undefined
  /**
   * The same for records in the encoding of `base/record.ts`, one behind the other; `expected` are conditions in
   * the same encoding. Returns how many records there were in `recordCount`; `pending` as for `write`.
   *
   * With `frame`, a batch that was here before is not applied again; answered is what came of it then: success,
   * `CONDITION_FAILED`, or `FRAME_REFUSED` for any other failure; while that is not known, the same promise. After
   * `FRAME_OUT_OF_ORDER`, `RESTORE_IN_PROGRESS` and `ENGINE_CLOSED` the frame is to be sent again as it is: they leave no
   * trace, but of a conditional write that waited for the disk when the state was sealed, which is then `FRAME_REFUSED`.
   * Every other failure is remembered.
   * @throws also `RECORD_MALFORMED`, `RECORD_FLAGS_UNSUPPORTED`; with `frame` also those above, `SESSION_EXPIRED`
   * when nobody knows whether it was applied, and `SETTING_INVALID`
   */
  writeEncoded(
    batch: Uint8Array,
    expected?: Uint8Array,
    frame?: SequencedFrame,
  ): {
    /** Records in the batch. */
    recordCount: number
    /** Resolves when the caller may go on; undefined: at once. */
    pending: Promise<void> | undefined
  }
  /**
   * Records in pages of bounded size. A key that is there from the first page to the last comes exactly once,
   * with the value of the moment its page was read. Ordered by key on `memory` and `lsm-tree`.
   * @throws (rejects) EngineError `STATE_REPLACED` when a restore puts another state in the place of the one scanned,
   * `ENGINE_CLOSED`, `OWNER_FENCED`, `DATA_LOSS`, `STORAGE_FAILED`, `REPOSITORY_FAILED`
   */
  scan(options?: ScanOptions): AsyncIterable<KeyValue[]>

  /**
   * Makes the present state a version. The state is fixed when the call returns; the promise resolves when the
   * version is committed. Calls may overlap; versions commit in the order of the calls.
   * @throws (rejects) EngineError `VERSION_INVALID`, `VERSION_NOT_ASCENDING`, `METADATA_TOO_LARGE`,
   * `RESTORE_IN_PROGRESS`, `VERSION_EXISTS`, `REPOSITORY_FAILED`, `STORAGE_FULL`, and `OWNER_FENCED`: the version may
   * count all the same, when the next owner found it in time
   */
  snapshot(options: SnapshotOptions): Promise<SnapshotResult>
  /**
   * Replaces the state. When it fails, the state is what it was. Writes made while it runs belong to the state
   * that is replaced. Any engine's version will do, and, with `OpenEngineOptions.partitioning`, one of any number of
   * partitions: its records are then written anew before this resolves, whatever the mode.
   * @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `VERSION_AMBIGUOUS`, `REPLACED_STATE_NOT_FOUND`,
   * `RESTORE_IN_PROGRESS`, `ENGINE_MISMATCH`, `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`; converting also
   * `VALUE_TOO_LARGE`, and `ENGINE_CLOSED` or `OWNER_FENCED` when that happens meanwhile
   */
  restore(target: RestoreOptions): Promise<RestoreResult>
  /** Committed versions of this partition, on all timelines, oldest first. */
  listVersions(): Promise<VersionSummary[]>
  /** Names of versions that the last listing left out because what the repository says of them cannot be believed. */
  damagedVersions(): VersionName[]
  /** Removes a version. @throws (rejects) `SNAPSHOT_NOT_FOUND`, `VERSION_AMBIGUOUS`, `SNAPSHOT_PINNED` */
  deleteVersion(version: number, timeline?: string): Promise<void>
  /**
   * Pins a version against removal, or takes a pin off. A version may have several pins of different names, and one
   * without; when pins are taken off, no name means all.
   * @param name 1 to 63 of a-z, 0-9, ".", "_" and "-", a letter or digit first
   * @throws (rejects) `SNAPSHOT_NOT_FOUND`, `VERSION_AMBIGUOUS`, `SETTING_INVALID`
   */
  pinVersion(version: number, pinned: boolean, timeline?: string, name?: string): Promise<void>

  /** What it holds and has done. */
  statistics(): EngineStatistics
  /** Figures of the runs on disk, for `Describe`. */
  runs(): RunFigures[]
  /** Keeps everything: flushes, syncs and marks the state as complete. The engine cannot be used afterwards. */
  close(): Promise<void>
}
