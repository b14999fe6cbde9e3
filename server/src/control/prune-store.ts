// Removes the versions of a store that its rules of retention let go.
//
// Between the decision and each removal things go on: a restore may have put a version back, a pin may have been set.
// What changed is looked at again; a version half of which is gone already is gone at the next pruning.

import { type EngineError, isEngineError } from "@varve/engines"
import { VarveError } from "@varve/proto"
import { decideRetention, type RetentionDecision, type RetentionRules } from "./retention.ts"
import type { Store } from "./store.ts"
import { groupVersions, removalOrder, type StoreVersion } from "./store-versions.ts"

/**
 * What became of each version, oldest first; with `dryRun`, what would.
 * @throws (rejects) VarveError `RESTORE_IN_PROGRESS`; EngineError `OWNER_FENCED`, `DATA_LOSS`, `REPOSITORY_FAILED`: some
 * versions may be gone then
 */
export async function pruneStore(
  store: Store,
  rules: RetentionRules,
  { dryRun, nowMs }: { readonly dryRun: boolean; readonly nowMs: number },
): Promise<RetentionDecision[]> {
  checkNotRestoring(store)
  const partitions = await store.versions()
  const damaged = partitions.flatMap(({ partition }) => store.damagedVersions(partition))
  const pending = new Set(store.partitions.flatMap(({ pendingVersions }) => [...pendingVersions]))
  const versions = groupVersions(partitions)
  const standing = store.partitions.map(({ engine }) => engine.position)
  const decisions = decideRetention(rules, { versions, partitions, standing, pending, damaged, nowMs })
  if (dryRun) return decisions
  const done: RetentionDecision[] = []
  for (const decision of decisions) {
    const obstacle = decision.isKept ? undefined : await remove(store, decision.version)
    done.push(obstacle === undefined ? decision : { ...decision, isKept: true, reason: obstacle })
  }
  return done
}

/** @returns why the version stays after all */
async function remove(store: Store, going: StoreVersion): Promise<string | undefined> {
  checkNotRestoring(store)
  const { partitions } = store
  const { version, timeline } = going
  if (
    partitions.some(
      ({ engine: { position } }) => position.version === version && position.timeline === timeline,
    )
  ) {
    return "a partition stands on it"
  }
  for (const { partition } of removalOrder(going)) {
    try {
      await store.deletePart(partition, { version, timeline })
    } catch (error) {
      if (isEngineError(error, "SNAPSHOT_PINNED")) return (error as EngineError).message
      // Somebody else was faster.
      if (!isEngineError(error, "SNAPSHOT_NOT_FOUND")) throw error
    }
  }
  return undefined
}

function checkNotRestoring({ settings, partitions }: Store): void {
  if (!partitions.some(({ restoring }) => restoring)) return
  throw new VarveError(
    "RESTORE_IN_PROGRESS",
    `store ${settings.name} is being restored: nothing more is removed`,
  )
}
