// The line that says that a version was converted: people who changed the engine or the number of partitions look for it,
// and those who did not have to hear of it.

import type { ConvertedFrom } from "@varve/engines"
import type { Log } from "../log.ts"
import type { Store, StoreRestore } from "./store.ts"

interface ConvertedRestore extends Pick<StoreRestore, "version" | "timeline" | "totalSeconds"> {
  readonly converted: ConvertedFrom
}

export function logConverted(
  { settings: { name, engine, partitions } }: Store,
  { version, timeline, totalSeconds, converted }: ConvertedRestore,
  log: Log,
): void {
  log.warn(
    "store-converted",
    `store ${name}: version ${version} was written by ${layoutText(converted.engine, converted.partitionCount)}; ` +
      `its records were written anew for ${layoutText(engine, partitions)}`,
    {
      store: name,
      version,
      timeline,
      fromEngine: converted.engine,
      fromPartitions: converted.partitionCount,
      engine,
      partitions,
      totalSeconds,
    },
  )
}

function layoutText(engine: string, partitions: number): string {
  return `${engine} with ${partitions} ${partitions === 1 ? "partition" : "partitions"}`
}
