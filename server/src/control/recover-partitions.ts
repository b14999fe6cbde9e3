// Brings partitions back whose shard has died while the daemon went on. The partitions of other shards stay what they
// are: each partition is in a state that its log or a version defines, and those who keep state here learn by the
// lineage which ones were rolled back.
//
//   replayed its log    → as it was, with every acknowledged write
//   otherwise           → the newest version that these partitions have in common; without one: empty, and loudly so

import { isEngineError } from "@varve/engines"
import { errorFields, type Log } from "../log.ts"
import type { Partition } from "./partition.ts"
import type { Store, StoreRestoreTarget } from "./store.ts"

/** @param partitions of the store, opened anew; not lost any more then. @throws (rejects) as `Engine.restore` */
export async function recoverPartitions(
  store: Store,
  partitions: readonly Partition[],
  log: Log,
): Promise<void> {
  const standing = partitions.filter(({ engine }) => ["continued", "replayed"].includes(engine.recovery))
  for (const partition of standing) partition.recovery = "replayed"
  const lost = partitions.filter((partition) => !standing.includes(partition))
  if (lost.length > 0) await restoreNewest(store, lost, log)
  for (const partition of partitions) partition.isLost = false
  log.warn("partitions-recovered", `store ${store.settings.name}: partitions of a shard that died are back`, {
    store: store.settings.name,
    partitions: Object.fromEntries(partitions.map(({ index, recovery }) => [index, recovery])),
  })
}

async function restoreNewest(store: Store, lost: readonly Partition[], log: Log): Promise<void> {
  const { name, recoveryFallback } = store.settings
  const indexes = lost.map(({ index }) => index)
  const restore = async (target: StoreRestoreTarget, recovery: Partition["recovery"]): Promise<void> => {
    await store.recover(indexes, target)
    for (const partition of lost) partition.recovery = recovery
  }
  try {
    await restore(
      recoveryFallback === "previous" ? { newest: true, fallback: "previous" } : { newest: true },
      "restored",
    )
  } catch (error) {
    if (!isEngineError(error, "SNAPSHOT_NOT_FOUND")) throw error
    const fields = { store: name, partitions: indexes, ...errorFields(error) }
    log.error("partitions-lost", `store ${name}: partitions of a shard that died are empty now`, fields)
    await restore({ empty: true }, "lost")
  }
}
