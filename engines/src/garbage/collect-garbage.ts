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
import { ElapsedTime } from "../snapshots/elapsed-time.ts"
import { condemnedKey, condemnedNoteKey, movedKey } from "../snapshots/repository-keys.ts"
import { type CollectionPlan, type CollectionRules, planCollection } from "./collection-plan.ts"
import { type Marks, markLive } from "./mark.ts"
import { groupsOf, rewriteGroup } from "./rewrite-packs.ts"

/** The shortest grace: what a writer trusts, twice. */
export const GRACE_MS_MIN = 2 * TRUST_MS
export const GRACE_MS_DEFAULT = 24 * 60 * 60 * 1000
export const LIVE_MIN_DEFAULT = 0.3

/** A mark: when it was made, by the clock of its collection. Those of earlier versions do not say that. */
const MARK = /^condemned (\d{1,16})\n$/
const MARK_BYTES_MAX = 64

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
  readonly imageCount: number
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
    const elapsed = new ElapsedTime(context.clock)
    const rules = checkRules(options, context.clock.nowMs())
    const objectStore = await context.objectStore(options.url)
    const marks = await markLive(objectStore)
    const plan = planCollection(marks, rules)
    const bytesRewritten =
      options.dryRun === true ? 0 : await carryOut(objectStore, { plan, marks, rules, elapsed, context })
    const { packs, manifestCount, imageCount, superseded } = marks
    return { ...plan, packCount: packs.size, manifestCount, imageCount, superseded, bytesRewritten }
  },
)

function checkRules(
  { graceMs = GRACE_MS_DEFAULT, liveMin = LIVE_MIN_DEFAULT, exclusive = false }: CollectionOptions,
  nowMs: number,
): CollectionRules {
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

interface Plan {
  readonly plan: CollectionPlan
  readonly marks: Marks
  readonly rules: CollectionRules
  readonly elapsed: ElapsedTime
  readonly context: JobContext
}

/** @returns bytes rewritten */
async function carryOut(
  objectStore: ObjectStore,
  { plan, marks, rules, elapsed, context }: Plan,
): Promise<number> {
  for (const key of [...marks.superseded, ...plan.probes]) await objectStore.remove(key)
  for (const id of plan.remove) {
    // The mark is asked for once more: another collection may have pardoned the pack, and condemned it anew.
    const mark = await objectStore.get(condemnedKey(id), { offset: 0, bytes: MARK_BYTES_MAX })
    if (mark === undefined || isYoung(mark, rules)) continue
    checkNotHeldUp(elapsed)
    await objectStore.remove(marks.packs.get(id)!.object.key)
    await objectStore.remove(condemnedKey(id))
  }
  for (const id of plan.forget) {
    checkNotHeldUp(elapsed)
    await objectStore.remove(movedKey(id))
  }
  for (const id of plan.pardon) await objectStore.remove(condemnedKey(id))
  for (const id of plan.pardonNotes) await objectStore.remove(condemnedNoteKey(id))
  let bytes = 0
  const packs = plan.rewrite.map((id) => ({ id, pack: marks.packs.get(id)! }))
  for (const group of groupsOf(packs)) bytes += await rewriteGroup(objectStore, group, context)
  const mark = Buffer.from(`condemned ${Math.floor(context.clock.nowMs())}\n`)
  for (const id of [...plan.condemn, ...plan.rewrite]) await objectStore.create(condemnedKey(id), [mark])
  for (const id of plan.condemnNotes) await objectStore.create(condemnedNoteKey(id), [mark])
  return bytes
}

function isYoung(mark: Uint8Array, { graceMs, nowMs }: CollectionRules): boolean {
  const madeMs = MARK.exec(Buffer.from(mark).toString("latin1"))?.[1]
  return madeMs !== undefined && nowMs - Number(madeMs) < graceMs
}

/** What was seen so long ago may not be so any more: other collections may have come and gone meanwhile. */
function checkNotHeldUp(elapsed: ElapsedTime): void {
  if (elapsed.ms() <= TRUST_MS) return
  throw new EngineError(
    "REPOSITORY_FAILED",
    "the collection was held up for so long that what it has seen may have changed: nothing more is removed, collect again",
  )
}
