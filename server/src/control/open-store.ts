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
//   whatever they are, but an earlier start       → as what that start found: its empty engines may have been closed well
//   did not come to an end (recovery-mark.ts)
//
// A version that another engine wrote, or another number of partitions, is converted, which takes the longer the more it
// holds (engines/src/partition/converted-source.ts).

import { join } from "node:path"
import { EngineError, isEngineError } from "@varve/engines"
import type { Repository, Seams } from "@varve/engines/internal"
import type { StoreSettings } from "../config/settings.ts"
import { errorFields, type Log } from "../log.ts"
import type { PartitionName } from "../shard/shard-port.ts"
import { logConverted } from "./log-converted.ts"
import { Partition, type PartitionRecovery, type VersionedEngine } from "./partition.ts"
import { readRecoveryMark, removeRecoveryMark, setRecoveryMark, type Unrecovered } from "./recovery-mark.ts"
import { Store, type StoreRestoreTarget } from "./store.ts"
import { checkStoreFile, isNewStore } from "./store-file.ts"

export interface StoreHost {
  /** Absolute; each store has a directory of its name in it. */
  readonly storesDirectory: string
  readonly repository: Repository
  readonly seams: Pick<Seams, "fileSystem" | "clock" | "random">
  readonly log: Log
  /** Opens the engine of a partition, on the shard that owns it. */
  openPartition(name: PartitionName): Promise<VersionedEngine>
}

/**
 * The engines belong to their shards, which close them, also when this fails.
 * @throws SettingsError when a fixed setting was changed; EngineError as `openEngine` and `Engine.restore`
 */
export async function openStore(settings: StoreSettings, host: StoreHost): Promise<Store> {
  const directory = join(host.storesDirectory, settings.name)
  const { fileSystem } = host.seams
  await fileSystem.makeDirectory(directory)
  let mark = await readRecoveryMark(fileSystem, directory)
  const setMark = async (found: Unrecovered | undefined): Promise<void> => {
    if (mark !== undefined || found === undefined) return
    await setRecoveryMark(fileSystem, directory, found)
    mark = found
  }
  // A new store's engines with a log would be believed also after a kill.
  if (await isNewStore(fileSystem, directory)) await setMark("new")
  await checkStoreFile(fileSystem, directory, settings)
  const indexes = Array.from({ length: settings.partitions }, (_, index) => index)
  // All settle before one failure ends the start: engines that are being opened could not be closed.
  const opened = await Promise.allSettled(
    indexes.map((partition) => host.openPartition({ store: settings.name, partition })),
  )
  const found = new Set(opened.flatMap((each) => (each.status === "fulfilled" ? [each.value.recovery] : [])))
  const isWhole = opened.every(({ status }) => status === "fulfilled")
  await setMark(unrecovered(found, isWhole))
  const engines = opened.map((each) => {
    if (each.status === "rejected") throw each.reason
    return each.value
  })
  const partitions = engines.map((engine, index) => new Partition(index, engine))
  const store = new Store(settings, partitions, host.seams, host.repository)
  await recover(store, mark === undefined ? found : new Set([mark]), host.log)
  if (mark !== undefined) await removeRecoveryMark(fileSystem, directory)
  return store
}

/**
 * What is to be remembered until a state is put back; undefined when every engine has one.
 * @param isWhole whether all engines were opened
 */
function unrecovered(
  found: ReadonlySet<VersionedEngine["recovery"]>,
  isWhole: boolean,
): Unrecovered | undefined {
  if (!found.has("new") && !found.has("crashed")) return undefined
  return isWhole && found.size === 1 && found.has("new") ? "new" : "crashed"
}

/** @param found what the engines are, or what an earlier start found and did not finish */
async function recover(
  store: Store,
  found: ReadonlySet<VersionedEngine["recovery"]>,
  log: Log,
): Promise<void> {
  const { name } = store.settings
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
    const { version, timeline, totalSeconds, skipped, converted } = await store.restore([], target)
    const { name } = store.settings
    if (converted !== undefined) logConverted(store, { version, timeline, totalSeconds, converted }, log)
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
      const message = `store ${store.settings.name}: the newest version is damaged: ${error.message}`
      throw new EngineError(
        error.reason,
        `${message}; to start with an older one set its recoveryFallback to previous`,
        { cause: error },
      )
    }
    if (!isEngineError(error, "SNAPSHOT_NOT_FOUND")) throw error
  }
  if (!mayStand) await restore({ empty: true })
  return undefined
}

function setRecovery(store: Store, recovery: PartitionRecovery): void {
  for (const partition of store.partitions) partition.recovery = recovery
}

function position(store: Store): { version: number; timeline: string } {
  const { version, timeline } = store.partitions[0]!.engine.position
  return { version, timeline }
}
