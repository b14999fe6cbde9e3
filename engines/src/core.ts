// What makes one engine different from another, and all that a new engine has to write. Everything else
// (versions, the repository, restore, the state on disk, merging, errors after a failed disk) is the same for
// all and lives in `partition/`. A partition serves one state at a time: a restore builds a second one beside it
// and then changes the pointer, so a failed restore touches nothing.
//
//              PartitionEngine ── checks, versions, state file, restore
//                     │ serves one
//                 LiveState    ── where it stands among the versions, merges, sessions
//                     │ owns one
//                 EngineCore   ── memory, append-log, …: where a record lies
//                     │ publishes runs into
//                   RunSet     ── open runs, newest first; merges

import type { z } from "zod"
import type { ReadBudget } from "./base/read-budget.ts"
import type { EngineName, KeyValue, ScanOptions } from "./engine.ts"
import type { EngineStatistics } from "./engine-statistics.ts"
import type { Seams } from "./io/seams.ts"
import type { Merging } from "./runs/merger.ts"
import type { Relocations } from "./runs/relocations.ts"
import type { RunDirectory } from "./runs/run-directory.ts"
import type { OpenRun, RunSet } from "./runs/run-set.ts"

/** The moment up to which a snapshot reaches; made by `seal`, consumed by `flush`. */
export interface Seal {
  /** What a core needs to know about the moment, for example a log address. */
  readonly at: number
}

/** What the shell gives to a core. */
export interface CoreHost<Settings> extends Seams {
  readonly settings: Settings
  readonly valueBytesMax: number
  readonly hashSeed: number
  /** The runs of this state. The core adds what it flushes; merges replace runs in it. */
  readonly runs: RunSet
  /** When the state was opened, versions listed other runs in the place of some: the inputs of merges. */
  readonly isListedOtherwise: boolean
  /** An eager restore puts the state back: what the engine reads of the runs at all, it reads before it is served. */
  readonly isEager: boolean
  /** Where the files of new runs go. */
  readonly directory: RunDirectory
  /** Called when a background step fails in a way that loses the promise of durability: no later write is taken. */
  poison(error: unknown): void
  /** Something of the state cannot be had, or went wrong and is tried again by itself. */
  warn(message: string, error: unknown): void
}

/** The arguments were checked by the shell: keys of 1 to 65 535 bytes, values within the limit, batches whole. */
export interface EngineCore {
  get(key: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>
  /** `NOT_READ` for values for which the budget has nothing left. */
  getMany(
    keys: readonly Uint8Array[],
    budget?: ReadBudget,
  ): (Uint8Array | undefined)[] | Promise<(Uint8Array | undefined)[]>
  set(key: Uint8Array, value: Uint8Array): Promise<void> | undefined
  /** Applies a checked batch of encoded records, all of it, before it returns. */
  write(batch: Uint8Array): Promise<void> | undefined
  /**
   * Throws when `bytes` more of records cannot be taken: `WRITES_STALLED` and `STORAGE_FULL` now,
   * `BATCH_TOO_LARGE` ever. Called by the shell before `set` and `write`, which then cannot fail.
   */
  admit(bytes: number): void
  scan(options: ScanOptions): AsyncIterable<KeyValue[]>

  /** Fixes the content; synchronous; cost independent of the state's size. Seals are flushed in order. */
  seal(): Seal
  /**
   * Resolves the runs, newest first, that together hold exactly the sealed state; each is retained for the
   * caller, who releases it. Their content is durable.
   */
  flush(seal: Seal): Promise<readonly OpenRun[]>
  /** JSON that has to come back with the sealed runs; called right after `flush` resolved. */
  engineState(): unknown

  /**
   * Whether records of the run are still read from memory, under addresses that they also have on disk. A merge then
   * copies the run as it is, and they keep their addresses; otherwise it leaves out what is overwritten.
   */
  keepsAddresses(run: OpenRun): boolean
  /**
   * A merge has made `output` from `inputs`. The run set holds `output` already and, until this resolves, the
   * inputs too: move every reference over. Work in slices.
   */
  relocate(inputs: readonly OpenRun[], output: OpenRun, relocations: Relocations): Promise<void>

  statistics(): Pick<
    EngineStatistics,
    | "recordCount"
    | "memoryBytes"
    | "indexBytes"
    | "flushCount"
    | "bytesFlushed"
    | "diskReadCount"
    | "stallCount"
    | "recordsWritten"
    | "bytesWritten"
    | "isStorageFull"
  >
  /** Stops background work and waits for it. Does not flush. */
  close(): Promise<void>
}

/** How an engine is told to the rest of the package: one entry of the table in `engine-table.ts`. */
export interface EngineDefinition<Settings> {
  readonly name: EngineName
  /** Each setting with its default, its limits and a description that names its unit. */
  readonly settingsSchema: z.ZodObject & z.ZodType<Settings>
  /**
   * Settings with which it flushes runs of about `runBytes`, 4096 at the least, and keeps a few times as much in memory;
   * the others have their defaults. With few bytes tests of all engines reach every part of each.
   */
  settingsFor(runBytes: number): Partial<Settings>
  /** Scans come in the order of keys. */
  readonly scansInOrder: boolean
  /** `recordCount` is exact; otherwise an estimate once a key is on disk. */
  readonly countsExactly: boolean
  /** A core over the runs in `host.runs` (none for a new state) and the engine state saved with them. */
  open(host: CoreHost<Settings>, engineState: unknown): Promise<EngineCore>
  /** When and how runs are merged; undefined: never. */
  readonly merging: (settings: Settings) => Merging | undefined
}
