// A store of several partitions without a daemon: engines that share a simulated disk, a repository and slots.

import {
  BlockCache,
  type Durability,
  type Engine,
  type EngineName,
  openEngine,
  type Partitioning,
} from "@varve/engines"
import type { Seams } from "@varve/engines/internal"
import { overlappingPartitions, partitionOfKey } from "@varve/proto"
import { bytes, contents, tinySettings } from "./engine-fixture.ts"

export const slots: Partitioning = { partitionOf: partitionOfKey, sourcesOf: overlappingPartitions }

export interface StoreLayout {
  readonly engine: EngineName
  readonly partitions: number
}

export type Contents = ReadonlyMap<string, string>

/**
 * Every partition, in `/<engine>-<partitions>/<partition>` unless told otherwise, as its directory was left: no
 * version is put back.
 */
export function openStore(
  { engine, partitions }: StoreLayout,
  seams: Seams,
  given: {
    readonly directory?: string
    readonly partitioning?: Partitioning | undefined
    readonly valueBytesMax?: number
    readonly durability?: Durability
  } = {},
): Promise<Engine[]> {
  const { directory = `/${engine}-${partitions}` } = given
  const partitioning = "partitioning" in given ? given.partitioning : slots
  return Promise.all(
    Array.from({ length: partitions }, (_, partition) =>
      openEngine({
        engine,
        directory: `${directory}/${partition}`,
        repository: "file:/repository",
        partition,
        partitionCount: partitions,
        ...(partitioning === undefined ? {} : { partitioning }),
        owner: { checkIntervalMs: 0 },
        restoreAfterCrash: false,
        settings: tinySettings[engine],
        ...(given.durability === "log" ? { durability: "log", log: { segmentBytes: 8192 } } : {}),
        valueBytesMax: given.valueBytesMax ?? 2048,
        blockCache: new BlockCache(8192),
        seams,
      }),
    ),
  )
}

/** Sets keys where they belong; an empty value deletes. */
export async function setAll(engines: readonly Engine[], records: Contents): Promise<void> {
  for (const [key, value] of records) {
    await engines[partitionOfKey(bytes(key), engines.length)]!.set(bytes(key), bytes(value))
  }
}

/** Everything in the store, by scans; fails when a key is in two partitions, or where nobody looks for it. */
export async function storeContents(engines: readonly Engine[]): Promise<Map<string, string>> {
  const all = new Map<string, string>()
  for (const [partition, engine] of engines.entries()) {
    for (const [key, value] of await contents(engine)) {
      if (all.has(key)) throw new Error(`the key ${key} is in two partitions`)
      if (partitionOfKey(bytes(key), engines.length) !== partition) {
        throw new Error(`the key ${key} is in partition ${partition}`)
      }
      all.set(key, value)
    }
  }
  return all
}

export async function snapshotAll(engines: readonly Engine[], version: number, metadata = ""): Promise<void> {
  await Promise.all(engines.map((engine) => engine.snapshot({ version, metadata: bytes(metadata) })))
}

export async function closeAll(engines: readonly Engine[]): Promise<void> {
  for (const engine of engines) await engine.close()
}
