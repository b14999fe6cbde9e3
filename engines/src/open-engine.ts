// Opening an engine: the parts of the outside world that it is given, and what is closed after it.

import { resolve } from "node:path"
import { EngineError, isEngineError } from "./base/error.ts"
import { VALUE_BYTES_DEFAULT, VALUE_BYTES_MAX } from "./base/record.ts"
import type { Engine, EngineName } from "./engine.ts"
import { definitionOf, parseEngineSettings } from "./engine-table.ts"
import { openProvenObjectStore } from "./io/object-store-url.ts"
import type { Seams } from "./io/seams.ts"
import { systemSeams } from "./io/system-seams.ts"
import { type Durability, type DurableLogSettings, durabilities } from "./partition/durable-log.ts"
import { type RestoreMode, restoreModes } from "./partition/open-runs.ts"
import { PartitionEngine } from "./partition/partition-engine.ts"
import {
  OWNER_CHECK_INTERVAL_MS_DEFAULT,
  OWNER_CHECK_INTERVAL_MS_MAX,
  type OwnerSettings,
} from "./partition/partition-owner.ts"
import type { Partitioning } from "./partition/partitioning.ts"
import type { ReplacedStateRetention } from "./partition/replaced-states.ts"
import { BLOCK_CACHE_BYTES_DEFAULT, BlockCache } from "./runs/block-cache.ts"
import { RunDirectory } from "./runs/run-directory.ts"
import { Repository } from "./snapshots/repository.ts"
import type { RepositoryOptions } from "./snapshots/repository-options.ts"

/** What `openEngine` takes. */
export interface OpenEngineOptions {
  /** Which engine. A directory stays with the one that it was made by. */
  readonly engine: EngineName
  /** Where the partition's files are; made when it is not there. One engine at a time has it. */
  readonly directory: string
  /**
   * `file:/absolute/directory`, `s3://bucket/prefix`, or an open repository that several partitions share and the
   * caller closes.
   */
  readonly repository: string | Repository
  /** How the repository of a URL is used. */
  readonly repositoryOptions?: RepositoryOptions
  /** The engine's own parameters, with defaults for those left out. */
  readonly settings?: unknown
  /** Name of the store, as versions are filed. Default: `default`. */
  readonly store?: string
  /** 0 to `partitionCount` - 1. Default 0. */
  readonly partition?: number
  /** How many partitions the store has. Default 1. */
  readonly partitionCount?: number
  /** Which partition has a key: needed to put versions back that were written with another number of partitions. */
  readonly partitioning?: Partitioning
  /** Longest value, in bytes; 4 MiB by default, at most 256 MiB. */
  readonly valueBytesMax?: number
  /**
   * Whether the newest version is put back when the directory does not hold the whole state: after a crash, or when
   * it is new and the repository has versions. Default true.
   */
  readonly restoreAfterCrash?: boolean
  /** What restores do that name no mode, the one after a crash included: see `RestoreOptions`. Default `lazy`. */
  readonly restoreMode?: RestoreMode
  /** How long the state that a restore has replaced can be had again. */
  readonly replacedStateRetention?: ReplacedStateRetention
  /** Where blocks of runs are kept that were read; engines of one thread may share one. By default one of 8 MiB. */
  readonly blockCache?: BlockCache
  /**
   * `log`: the promise of a write resolves when the write survives kill -9 and power loss; a crash loses nothing that
   * was acknowledged. Reads may see a write before that. `snapshot`, the default: until a crash, unless a version
   * holds the write. May change from one opening to the next.
   */
  readonly durability?: Durability
  /** Of durability `log`. */
  readonly log?: DurableLogSettings
  /** Who owns the partition, and how often an owner that commits nothing asks whether it still does. */
  readonly owner?: OwnerSettings
  /** The outside world; by default the real one. The caller closes an executor that it passes in. @internal */
  readonly seams?: Seams
  /** Hears that another owner has taken the partition, once more when it is known who. Nothing goes on any more. */
  readonly onFenced?: (error: EngineError) => void
  /** Hears of what went wrong in the background and is tried again. */
  readonly onWarning?: (message: string, error: unknown) => void
}

/**
 * Opens the partition in `directory`: as it was left by a clean stop, else at its newest version, else empty. Takes it
 * from whoever had it open before, anywhere: that one is refused everything with `OWNER_FENCED` from then on.
 * @throws (rejects) EngineError `ENGINE_UNKNOWN`, `SETTING_INVALID`, `DIRECTORY_LOCKED`, `ENGINE_MISMATCH`,
 * `DATA_LOSS`, `FORMAT_NEWER`, `STORAGE_FAILED`, `REPOSITORY_FAILED`, `REPOSITORY_URL_INVALID`
 */
export async function openEngine(options: OpenEngineOptions): Promise<Engine> {
  const definition = definitionOf(options.engine)
  const settings = parseEngineSettings(definition, options.settings)
  const valueBytesMax = options.valueBytesMax ?? VALUE_BYTES_DEFAULT
  if (!Number.isInteger(valueBytesMax) || valueBytesMax < 1 || valueBytesMax > VALUE_BYTES_MAX) {
    throw new EngineError(
      "SETTING_INVALID",
      `valueBytesMax is ${valueBytesMax}; it is 1 to ${VALUE_BYTES_MAX} bytes`,
    )
  }
  // What was opened here is closed here, in reverse order, when a later step fails or the engine is closed.
  const closing: (() => Promise<void>)[] = []
  const closeAll = async (): Promise<void> => {
    for (const close of closing.reverse()) await close()
  }
  try {
    const seams = options.seams ?? ownSeams(closing)
    const directory = resolve(options.directory)
    await seams.fileSystem.makeDirectory(directory)
    const lock = await seams.fileSystem.lock(directory)
    closing.push(() => lock.release())
    const repository = await openRepository(options, seams, closing)
    const warn = options.onWarning ?? (() => undefined)
    const runDirectory = await RunDirectory.open(
      seams.fileSystem,
      directory,
      (error) => warn("a run file could not be removed", error),
      options.blockCache ?? new BlockCache(BLOCK_CACHE_BYTES_DEFAULT),
    )
    closing.push(() => runDirectory.close())
    const engine = await PartitionEngine.open({
      definition,
      settings,
      durability: durabilityOf(options.durability),
      log: options.log ?? {},
      restoreMode: restoreModeOf(options.restoreMode),
      partitioning: options.partitioning,
      replacedStateRetention: options.replacedStateRetention ?? {},
      owner: ownerOf(options.owner),
      onFenced: options.onFenced ?? ((error) => warn("the partition was taken over", error)),
      identity: {
        store: options.store ?? "default",
        partition: options.partition ?? 0,
        partitionCount: options.partitionCount ?? 1,
        engine: definition.name,
      },
      parts: { seams, directory: runDirectory, repository, valueBytesMax, warn },
      afterClose: closeAll,
    })
    try {
      if (
        options.restoreAfterCrash !== false &&
        engine.recovery !== "continued" &&
        engine.recovery !== "replayed"
      ) {
        await restoreNewest(engine)
      }
    } catch (error) {
      await engine.abandon()
      throw error
    }
    return engine
  } catch (error) {
    await closeAll()
    throw error
  }
}

/** Without any version a crashed state is empty, and a new one is so already. */
async function restoreNewest(engine: Engine): Promise<void> {
  try {
    await engine.restore({ newest: true })
  } catch (error) {
    if (!isEngineError(error, "SNAPSHOT_NOT_FOUND")) throw error
    if (engine.recovery === "crashed") await engine.restore({ empty: true })
  }
}

function restoreModeOf(name: string = "lazy"): RestoreMode {
  const mode = restoreModes.find((each) => each === name)
  if (mode !== undefined) return mode
  throw new EngineError("SETTING_INVALID", `restoreMode is "${name}"; it is ${restoreModes.join(" or ")}`)
}

function durabilityOf(name: string = "snapshot"): Durability {
  const durability = durabilities.find((each) => each === name)
  if (durability !== undefined) return durability
  throw new EngineError("SETTING_INVALID", `durability is "${name}"; it is ${durabilities.join(" or ")}`)
}

function ownerOf(settings: OwnerSettings = {}): OwnerSettings {
  const { checkIntervalMs = OWNER_CHECK_INTERVAL_MS_DEFAULT } = settings
  if (
    Number.isInteger(checkIntervalMs) &&
    checkIntervalMs >= 0 &&
    checkIntervalMs <= OWNER_CHECK_INTERVAL_MS_MAX
  ) {
    return settings
  }
  throw new EngineError(
    "SETTING_INVALID",
    `owner.checkIntervalMs is ${checkIntervalMs}; it is 0 to ${OWNER_CHECK_INTERVAL_MS_MAX} milliseconds`,
  )
}

function ownSeams(closing: (() => Promise<void>)[]): Seams {
  const seams = systemSeams({ threads: 1 })
  closing.push(() => seams.close())
  return seams
}

async function openRepository(
  { repository, repositoryOptions }: Pick<OpenEngineOptions, "repository" | "repositoryOptions">,
  seams: Seams,
  closing: (() => Promise<void>)[],
): Promise<Repository> {
  if (typeof repository !== "string") return repository
  const objectStore = await openProvenObjectStore(repository, seams)
  closing.push(() => objectStore.close())
  const opened = await Repository.open(objectStore, seams, repositoryOptions)
  closing.push(() => opened.close())
  return opened
}
