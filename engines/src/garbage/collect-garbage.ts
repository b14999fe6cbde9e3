// Garbage collection of a repository: what no version needs goes, while others store, restore and collect.
//
//   mark ── plan ── remove ── forget, pardon ── rewrite ── condemn
//
// Two collections, a period of grace apart, remove a pack: the first condemns it, the second finds it still unneeded.
// condemned-packs.ts says why that is safe beside writers. Clocks of those who collect and of the object store may
// differ by what the grace is longer than TRUST_MS.

import { EngineError } from "../base/error.ts"
import { defineBackgroundJob, type JobContext } from "../io/executor.ts"
import type { ObjectStore } from "../io/object-store.ts"
import { TRUST_MS } from "../snapshots/condemned-packs.ts"
import { condemnedKey, movedKey, packKey } from "../snapshots/repository-keys.ts"
import { type CollectionPlan, planCollection } from "./collection-plan.ts"
import { type Marks, markLive } from "./mark.ts"
import { groupsOf, rewriteGroup } from "./rewrite-packs.ts"

/** The shortest grace: what a writer trusts, twice. */
export const GRACE_MS_MIN = 2 * TRUST_MS
export const GRACE_MS_DEFAULT = 24 * 60 * 60 * 1000
export const LIVE_MIN_DEFAULT = 0.3

const MARK = Buffer.from("condemned\n")

export interface CollectionOptions {
  /** URL of the object store. */
  readonly url: string
  /** @default GRACE_MS_DEFAULT */
  readonly graceMs?: number
  /** Packs of which less than this part is alive are rewritten; 0: none. @default LIVE_MIN_DEFAULT */
  readonly liveMin?: number
  /** Only says what it would do. */
  readonly dryRun?: boolean
  /** Nobody else uses the repository, which the caller vouches for: any grace is taken. */
  readonly exclusive?: boolean
}

/** What a collection did, or would do. Ids of packs; bytes of objects. */
export interface CollectionResult extends CollectionPlan {
  readonly packCount: number
  readonly manifestCount: number
  /** Keys of manifests that are removed: their writers had lost the partition, so they are no versions. */
  readonly superseded: readonly string[]
  /** Bytes of packs that were written by rewriting others. */
  readonly bytesRewritten: number
}

/**
 * Collects once. @throws (rejects) EngineError `SETTING_INVALID`; `DATA_LOSS` when something that is needed is damaged
 * or missing (nothing is then removed: what a damaged version needs is not known), `REPOSITORY_FAILED`
 */
export const collectGarbage = defineBackgroundJob(
  import.meta.url,
  "collectGarbage",
  async (context: JobContext, options: CollectionOptions): Promise<CollectionResult> => {
    const rules = checkRules(options, context.clock.nowMs())
    const objectStore = await context.objectStore(options.url)
    const marks = await markLive(objectStore)
    const plan = planCollection(marks, rules)
    const bytesRewritten = options.dryRun === true ? 0 : await carryOut(objectStore, { plan, marks, context })
    const { packs, manifestCount, superseded } = marks
    return { ...plan, packCount: packs.size, manifestCount, superseded, bytesRewritten }
  },
)

function checkRules(
  { graceMs = GRACE_MS_DEFAULT, liveMin = LIVE_MIN_DEFAULT, exclusive = false }: CollectionOptions,
  nowMs: number,
): { graceMs: number; liveMin: number; nowMs: number } {
  if (!(graceMs >= 0) || (graceMs < GRACE_MS_MIN && !exclusive)) {
    throw new EngineError(
      "SETTING_INVALID",
      `a grace of ${graceMs} ms: at least ${GRACE_MS_MIN}, unless nobody else uses the repository`,
    )
  }
  if (!(liveMin >= 0 && liveMin <= 1)) {
    throw new EngineError("SETTING_INVALID", `${liveMin} is no part of a pack: 0 to 1`)
  }
  return { graceMs, liveMin, nowMs }
}

/** @returns bytes rewritten */
async function carryOut(
  objectStore: ObjectStore,
  { plan, marks, context }: { plan: CollectionPlan; marks: Marks; context: JobContext },
): Promise<number> {
  for (const key of marks.superseded) await objectStore.remove(key)
  for (const id of plan.remove) {
    // The mark is asked for once more: another collection may have pardoned the pack.
    if ((await objectStore.get(condemnedKey(id), { offset: 0, bytes: 1 })) === undefined) continue
    await objectStore.remove(packKey(id))
    await objectStore.remove(condemnedKey(id))
  }
  for (const id of plan.forget) await objectStore.remove(movedKey(id))
  for (const id of plan.pardon) await objectStore.remove(condemnedKey(id))
  let bytes = 0
  const packs = plan.rewrite.map((id) => ({ id, pack: marks.packs.get(id)! }))
  for (const group of groupsOf(packs)) bytes += await rewriteGroup(objectStore, group, context)
  for (const id of [...plan.condemn, ...plan.rewrite]) await objectStore.create(condemnedKey(id), [MARK])
  return bytes
}
