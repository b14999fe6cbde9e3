// Opens the engine of one partition, with what its store is set to.

import { join } from "node:path"
import { type BlockCache, type Engine, type EngineError, openEngine } from "@varve/engines"
import type { Repository, Seams } from "@varve/engines/internal"
import type { Settings, StoreSettings } from "../config/settings.ts"
import { errorFields, type Log } from "../log.ts"
import type { PartitionName } from "./shard-port.ts"
import { slots } from "./slots.ts"

export interface PartitionHost {
  readonly settings: Pick<Settings, "dataDir" | "ownerCheckSeconds">
  readonly repository: Repository
  readonly seams: Seams
  readonly blockCache: BlockCache
  readonly log: Log
  /** Called when another daemon has taken the partition. */
  readonly onFenced: () => void
}

/** Where the engine of a partition keeps what it has. */
export function partitionDirectory({ dataDir }: Pick<Settings, "dataDir">, name: PartitionName): string {
  return join(dataDir, "stores", name.store, String(name.partition))
}

/** @throws (rejects) as `openEngine` */
export async function openPartition(
  store: StoreSettings,
  partition: number,
  host: PartitionHost,
): Promise<Engine> {
  const { settings, log } = host
  return await openEngine({
    engine: store.engine,
    directory: partitionDirectory(settings, { store: store.name, partition }),
    repository: host.repository,
    store: store.name,
    partition,
    partitionCount: store.partitions,
    ...(store.partitioning === "hash" ? { partitioning: slots } : {}),
    settings: store.settings,
    durability: store.durability,
    valueBytesMax: store.valueBytesMax,
    seams: host.seams,
    blockCache: host.blockCache,
    restoreAfterCrash: false,
    restoreMode: store.restoreMode,
    replacedStateRetention: {
      count: store.replacedStatesMax,
      ms: store.replacedStateSeconds * 1000,
    },
    owner: { checkIntervalMs: settings.ownerCheckSeconds * 1000 },
    onFenced: (error) => fenced(store.name, partition, error, host),
    onWarning: (message, error) =>
      log.warn("engine", message, { store: store.name, partition, ...errorFields(error) }),
  })
}

function fenced(
  store: string,
  partition: number,
  error: EngineError,
  { log, onFenced }: PartitionHost,
): void {
  log.error(
    "partition-fenced",
    `${error.message}; every call here is refused until this daemon is started anew`,
    { store, partition },
  )
  onFenced()
}
