// Opens a store: its file is checked, its engines are opened, and its partitions are brought to one state.
//
//   every engine continued                        → as it was
//   every engine continued or replayed its log    → as it was, with every acknowledged write
//   every engine new, repository has no version   → empty, all on one timeline: versions of a store share it
//   every engine new, repository has versions     → the newest complete version: the directory is new, the
//                                                   state is not
//   some overtaken, none crashed or new           → another daemon has written versions since: the newest complete one,
//                                                   for all partitions; without one: as they were
//   anything else (a crash, a missing directory)  → the newest complete version, for all partitions: never a
//                                                   mixture; without a version: empty, and loudly so

import { join } from "node:path"
import { type BlockCache, type Engine, type EngineError, isEngineError, openEngine } from "@varve/engines"
import type { Repository, Seams } from "@varve/engines/internal"
import type { StoreSettings } from "../config/settings.ts"
import { errorFields, type Log } from "../log.ts"
import { Partition, type PartitionRecovery } from "./partition.ts"
import { Store, type StoreRestoreTarget } from "./store.ts"
import { checkStoreFile } from "./store-file.ts"

export interface StoreHost {
  /** Absolute; each store has a directory of its name in it. */
  readonly storesDirectory: string
  readonly repository: Repository
  readonly seams: Seams
  readonly blockCache: BlockCache
  readonly log: Log
  readonly ownerCheckSeconds: number
  /** Called when another daemon has taken a partition. */
  readonly onFenced: () => void
}

/** @throws SettingsError when a fixed setting was changed; EngineError as `openEngine` and `Engine.restore` */
export async function openStore(settings: StoreSettings, host: StoreHost): Promise<Store> {
  const directory = join(host.storesDirectory, settings.name)
  await checkStoreFile(host.seams.fileSystem, directory, settings)
  const indexes = Array.from({ length: settings.partitions }, (_, index) => index)
  const opened = await Promise.allSettled(
    indexes.map((index) =>
      openEngine({
        engine: settings.engine,
        directory: join(directory, String(index)),
        repository: host.repository,
        store: settings.name,
        partition: index,
        partitionCount: settings.partitions,
        settings: settings.settings,
        durability: settings.durability,
        valueBytesMax: settings.valueBytesMax,
        seams: host.seams,
        blockCache: host.blockCache,
        restoreAfterCrash: false,
        restoreMode: settings.restoreMode,
        replacedStateRetention: {
          count: settings.replacedStatesMax,
          ms: settings.replacedStateSeconds * 1000,
        },
        owner: { checkIntervalMs: host.ownerCheckSeconds * 1000 },
        onFenced: (error) => fenced(settings.name, index, error, host),
        onWarning: (message, error) =>
          host.log.warn("engine", message, { store: settings.name, partition: index, ...errorFields(error) }),
      }),
    ),
  )
  const engines = opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []))
  try {
    for (const each of opened) if (each.status === "rejected") throw each.reason
    const partitions = engines.map((engine, index) => new Partition(index, engine))
    const store = new Store(settings, partitions, host.seams)
    await recover(store, host.log)
    return store
  } catch (error) {
    await closeAll(engines, host.log)
    throw error
  }
}

async function recover(store: Store, log: Log): Promise<void> {
  const { name } = store.settings
  const found = new Set(store.partitions.map(({ engine }) => engine.recovery))
  if (found.size === 1 && found.has("continued")) {
    setRecovery(store, "continued")
    log.info("store-continued", `store ${name} continued where it stopped`, {
      store: name,
      ...position(store),
    })
    return
  }
  const isStanding = !found.has("new") && !found.has("crashed")
  if (isStanding && !found.has("overtaken")) {
    for (const partition of store.partitions) {
      partition.recovery = partition.engine.recovery === "replayed" ? "replayed" : "continued"
    }
    log.warn(
      "store-replayed",
      `store ${name} did not stop cleanly; its log gave back every acknowledged write`,
      {
        store: name,
        ...position(store),
      },
    )
    return
  }
  const isNew = found.size === 1 && found.has("new")
  const restored = await restoreNewest(store, log, isStanding)
  if (restored === undefined && isNew) {
    setRecovery(store, "new")
    log.info("store-new", `store ${name} is new`, { store: name })
  } else if (restored === undefined && isStanding) {
    setRecovery(store, "continued")
    log.error(
      "store-overtaken",
      `another daemon had taken store ${name} and made no complete version: the state here goes on, its writes are lost`,
      { store: name, ...position(store) },
    )
  } else if (restored === undefined) {
    setRecovery(store, "lost")
    log.error(
      "store-lost",
      `store ${name} did not stop cleanly and has no complete version: it is empty now`,
      {
        store: name,
      },
    )
  } else if (isNew) {
    setRecovery(store, "restored")
    log.info("store-restored", `store ${name} is new here; restored ${restored} from the repository`, {
      store: name,
      ...position(store),
    })
  } else if (found.has("overtaken")) {
    setRecovery(store, "restored")
    log.warn(
      "store-restored",
      `another daemon had taken store ${name} since it ran here; restored ${restored}, writes made here after the takeover are in no version`,
      { store: name, ...position(store) },
    )
  } else {
    setRecovery(store, "restored")
    log.warn(
      "store-restored",
      `store ${name} restored ${restored} after a crash; writes since then are lost`,
      {
        store: name,
        ...position(store),
      },
    )
  }
}

/** Says what was restored; undefined when there was no version: every partition is empty then, unless it may stand. */
async function restoreNewest(store: Store, log: Log, mayStand: boolean): Promise<string | undefined> {
  const restore = async (target: StoreRestoreTarget): Promise<string> => {
    const { version, timeline, totalSeconds, skipped } = await store.restore([], target)
    const { name } = store.settings
    log.debug("recovery", `restored in ${totalSeconds} s`, { store: name })
    for (const each of skipped) {
      const what = `version ${each.version} of timeline ${each.timeline}`
      log.error(
        "restore-skipped",
        `store ${name}: ${what} is damaged, an older one is restored: ${each.why}`,
        {
          store: name,
          version: each.version,
          timeline: each.timeline,
        },
      )
    }
    return `version ${version} of timeline ${timeline}`
  }
  try {
    const isTolerant = store.settings.recoveryFallback === "previous"
    return await restore(isTolerant ? { newest: true, fallback: "previous" } : { newest: true })
  } catch (error) {
    if (isEngineError(error, "DATA_LOSS")) {
      log.error(
        "store-damaged",
        `store ${store.settings.name}: the newest version is damaged; recoveryFallback: previous takes an older one`,
        { store: store.settings.name, ...errorFields(error) },
      )
    }
    if (!isEngineError(error, "SNAPSHOT_NOT_FOUND")) throw error
  }
  if (!mayStand) await restore({ empty: true })
  return undefined
}

function fenced(store: string, partition: number, error: EngineError, { log, onFenced }: StoreHost): void {
  log.error(
    "partition-fenced",
    `${error.message}; every call here is refused until this daemon is started anew`,
    {
      store,
      partition,
    },
  )
  onFenced()
}

function setRecovery(store: Store, recovery: PartitionRecovery): void {
  for (const partition of store.partitions) partition.recovery = recovery
}

function position(store: Store): { version: number; timeline: string } {
  const { version, timeline } = store.partitions[0]!.engine.position
  return { version, timeline }
}

async function closeAll(engines: readonly Engine[], log: Log): Promise<void> {
  for (const result of await Promise.allSettled(engines.map((engine) => engine.close()))) {
    if (result.status === "rejected") log.warn("close-failed", String(result.reason))
  }
}
