// Several partitions are restored, or none: those that have switched already are switched back when one fails.

import { EngineError, type RestoreMode, type RestoreOptions, type RestoreResult } from "@varve/engines"
import type { Partition } from "./partition.ts"

/**
 * Switches the partitions whose restore succeeded back to the state that it replaced.
 * @throws (rejects) EngineError `STORAGE_FAILED` when one cannot be switched back: the store is a mixture then
 */
async function undo(
  partitions: readonly Partition[],
  settled: readonly PromiseSettledResult<{ readonly replaced: string }>[],
): Promise<void> {
  for (const [at, { engine, index }] of partitions.entries()) {
    const result = settled[at]!
    if (result.status === "rejected") continue
    try {
      await engine.restore({ replaced: result.value.replaced })
    } catch (cause) {
      throw new EngineError(
        "STORAGE_FAILED",
        `the restore failed, and partition ${index} could not be put back to the state before it: ` +
          `restore a version of all partitions before anything else`,
        { cause },
      )
    }
  }
}

/** Restores each partition to its target; when one fails, none is changed. */
export async function restoreAll(
  partitions: readonly Partition[],
  targets: readonly RestoreOptions[],
  mode: RestoreMode | undefined,
): Promise<RestoreResult[]> {
  const how = mode === undefined ? {} : { mode }
  const calls = partitions.map(async ({ engine }, at) => engine.restore({ ...targets[at]!, ...how }))
  const settled = await Promise.allSettled(calls)
  if (settled.some(({ status }) => status === "rejected")) await undo(partitions, settled)
  return allOrFirstError(settled)
}

/** What all have resolved. @throws the first of the errors */
export function allOrFirstError<Result>(settled: readonly PromiseSettledResult<Result>[]): Result[] {
  return settled.map((each) => {
    if (each.status === "rejected") throw each.reason
    return each.value
  })
}
