// Opening an engine: the table of engines, and the parts of the outside world that each is given.

import { resolve } from "node:path"
import { EngineError, isEngineError } from "./base/error.ts"
import { VALUE_BYTES_DEFAULT, VALUE_BYTES_MAX } from "./base/record.ts"
import type { EngineDefinition } from "./core.ts"
import type { Engine, EngineName } from "./engine.ts"
import { appendLogDefinition } from "./engines/append-log/definition.ts"
import { hybridLogDefinition } from "./engines/hybrid-log/definition.ts"
import { lsmTreeDefinition } from "./engines/lsm-tree/definition.ts"
import { memoryDefinition } from "./engines/memory/definition.ts"
import { openObjectStore } from "./io/object-store-url.ts"
import type { Seams } from "./io/seams.ts"
import { systemSeams } from "./io/system-seams.ts"
import { type Durability, type DurableLogSettings, durabilities } from "./partition/durable-log.ts"
import { PartitionEngine } from "./partition/partition-engine.ts"
import { BLOCK_CACHE_BYTES_DEFAULT, BlockCache } from "./runs/block-cache.ts"
import { RunDirectory } from "./runs/run-directory.ts"
import { Repository } from "./snapshots/repository.ts"

export interface OpenEngineOptions {
  readonly engine: EngineName
  /** Where the partition's files are; made when it is not there. One engine at a time has it. */
  readonly directory: string
  /** `file:/absolute/directory`, or an open repository that several partitions share and the caller closes. */
  readonly repository: string | Repository
  /** The engine's own parameters, with defaults for those left out. */
  readonly settings?: unknown
  /** Name of the store and the partition's place in it, as versions are filed. Default: `default`, 0 of 1. */
  readonly store?: string
  readonly partition?: number
  readonly partitionCount?: number
  /** Longest value, in bytes; 4 MiB by default, at most 256 MiB. */
  readonly valueBytesMax?: number
  /**
   * Whether the newest version is put back when the directory does not hold the whole state: after a crash, or when
   * it is new and the repository has versions. Default true.
   */
  readonly restoreAfterCrash?: boolean
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
  /** The outside world; by default the real one. The caller closes an executor that it passes in. */
  readonly seams?: Seams
  /** Hears of what went wrong in the background and is tried again. */
  readonly onWarning?: (message: string, error: unknown) => void
}

/** Every engine there is. A new one is added here and to `engineNames`. */
const definitions = {
  memory: memoryDefinition,
  "append-log": appendLogDefinition,
  "hybrid-log": hybridLogDefinition,
  "lsm-tree": lsmTreeDefinition,
} as const satisfies Record<EngineName, { readonly name: EngineName }>

/**
 * Opens the partition in `directory`: as it was left by a clean stop, else at its newest version, else empty.
 * @throws (rejects) EngineError `ENGINE_UNKNOWN`, `SETTING_INVALID`, `DIRECTORY_LOCKED`, `ENGINE_MISMATCH`,
 * `DATA_LOSS`, `FORMAT_NEWER`, `STORAGE_FAILED`, `REPOSITORY_FAILED`, `REPOSITORY_URL_INVALID`
 */
export async function openEngine(options: OpenEngineOptions): Promise<Engine> {
  const definition = definitionOf(options.engine)
  const settings = definition.parseSettings(options.settings)
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
    const repository = await openRepository(options.repository, seams, closing)
    const warn = options.onWarning ?? (() => undefined)
    const runDirectory = await RunDirectory.open(
      seams.fileSystem,
      directory,
      (error) => warn("a run file could not be removed", error),
      options.blockCache ?? new BlockCache(BLOCK_CACHE_BYTES_DEFAULT),
    )
    closing.push(() => runDirectory.close())
    const engine = await PartitionEngine.open<unknown>({
      definition: definition as EngineDefinition<unknown>,
      settings,
      durability: durabilityOf(options.durability),
      log: options.log ?? {},
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
        (engine.recovery === "new" || engine.recovery === "crashed")
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

function definitionOf(name: string): EngineDefinition<unknown> {
  const definition = Object.hasOwn(definitions, name) ? definitions[name as EngineName] : undefined
  if (definition === undefined) {
    throw new EngineError(
      "ENGINE_UNKNOWN",
      `there is no engine "${name}"; there are ${Object.keys(definitions).join(", ")}`,
    )
  }
  return definition as EngineDefinition<unknown>
}

function durabilityOf(name: string = "snapshot"): Durability {
  const durability = durabilities.find((each) => each === name)
  if (durability !== undefined) return durability
  throw new EngineError("SETTING_INVALID", `durability is "${name}"; it is ${durabilities.join(" or ")}`)
}

function ownSeams(closing: (() => Promise<void>)[]): Seams {
  const seams = systemSeams({ threads: 1 })
  closing.push(() => seams.close())
  return seams
}

async function openRepository(
  repository: string | Repository,
  seams: Seams,
  closing: (() => Promise<void>)[],
): Promise<Repository> {
  if (typeof repository !== "string") return repository
  const opened = await Repository.open(await openObjectStore(repository, seams.fileSystem), seams)
  closing.push(() => opened.close())
  return opened
}
