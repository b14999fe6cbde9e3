// What a collection does, decided from what was marked: a pure function.
//
//   a pack …                                          is
//   young, whatever it holds                          kept: a version that needs it may be on its way
//   with nothing alive                                condemned; removed when it was condemned for the grace
//   with little alive                                 rewritten: alive chunks into a new pack, a note, condemned
//   condemned, rewritten, alive chunks all taken      removed after the grace; the note stays
//   condemned, with something alive that is not taken pardoned: the mark goes, next time the note
//   gone, and nobody asks for its note                the note is condemned, by a mark of its own, and goes after the grace
//
// Probes live for a moment: those that are older than the grace go at once.
//
// Everything here may be stopped between any two steps and begun again, by several at a time.

import type { ObjectSummary } from "../io/object-store.ts"
import { type MovedPack, movedRange } from "../snapshots/moved-pack.ts"
import { packBytes } from "../snapshots/pack.ts"
import type { MarkedPack, Marks } from "./mark.ts"

export interface CollectionRules {
  /** How long a pack stays condemned, and how old it is before it is judged, in ms. Above TRUST_MS of writers. */
  readonly graceMs: number
  /** Packs of which less than this part is alive are rewritten: 0 to 1. */
  readonly liveMin: number
  /** The object store's time, in ms since 1970. */
  readonly nowMs: number
}

export interface CollectionPlan {
  /** Packs to condemn that nothing needs. */
  readonly condemn: readonly string[]
  /** Packs to rewrite, and then to condemn. */
  readonly rewrite: readonly string[]
  /** Packs to remove, with their marks. */
  readonly remove: readonly string[]
  /** Packs whose marks are to be taken off. */
  readonly pardon: readonly string[]
  /** Packs whose notes are to be condemned, and those whose notes' marks are to be taken off. */
  readonly condemnNotes: readonly string[]
  readonly pardonNotes: readonly string[]
  /** Notes that nobody will ask for again. */
  readonly forget: readonly string[]
  /** Keys of probes that a crash has left. */
  readonly probes: readonly string[]
  /** Bytes of objects, and of those that `remove` removes. */
  readonly bytes: number
  readonly bytesRemoved: number
  readonly bytesLive: number
}

/** The plan for what was marked. */
export function planCollection(marks: Marks, rules: CollectionRules): CollectionPlan {
  const steps: Steps = {
    condemn: [],
    rewrite: [],
    remove: [],
    pardon: [],
    forget: [],
    condemnNotes: [],
    pardonNotes: [],
  }
  const isOld = ({ modifiedMs }: ObjectSummary): boolean => rules.nowMs - modifiedMs >= rules.graceMs
  let bytes = 0
  let bytesLive = 0
  for (const [id, pack] of marks.packs) {
    bytes += pack.object.bytes
    bytesLive += pack.live.bytes
    judgePack(id, pack, { marks, steps, isOld, liveMin: rules.liveMin })
  }
  for (const id of marks.moved.keys()) {
    if (!marks.packs.has(id)) judgeNote(id, { marks, steps, isOld })
  }
  // Left by a collection that was stopped in between.
  for (const id of marks.condemned.keys()) if (!marks.packs.has(id)) steps.pardon.push(id)
  for (const id of marks.condemnedNotes.keys()) if (!marks.moved.has(id)) steps.pardonNotes.push(id)
  const bytesRemoved = steps.remove.reduce((sum, id) => sum + marks.packs.get(id)!.object.bytes, 0)
  const probes = marks.probes.filter(isOld).map(({ key }) => key)
  return { ...steps, probes, bytes, bytesLive, bytesRemoved }
}

type Steps = Record<
  "condemn" | "rewrite" | "remove" | "pardon" | "forget" | "condemnNotes" | "pardonNotes",
  string[]
>

interface Judgement {
  readonly marks: Marks
  readonly steps: Steps
  readonly isOld: (object: ObjectSummary) => boolean
}

function judgePack(
  id: string,
  pack: MarkedPack,
  { marks, steps, isOld, liveMin }: Judgement & { readonly liveMin: number },
): void {
  const mark = marks.condemned.get(id)
  const note = marks.moved.get(id)
  const live = pack.live.bytes
  if (live === 0 || (note !== undefined && isTaken(pack, note))) {
    if (mark === undefined) {
      if (isOld(pack.object)) steps.condemn.push(id)
    } else if (isOld(mark)) {
      steps.remove.push(id)
    }
  } else if (mark !== undefined) {
    steps.pardon.push(id)
  } else if (note !== undefined) {
    // It lacks something: without it the pack can be rewritten anew.
    steps.forget.push(id)
  } else if (isOld(pack.object) && neededBytes(pack) < liveMin * pack.object.bytes) {
    steps.rewrite.push(id)
  }
}

/** What of the pack would be left: its entries and its end are needed with the chunks that are alive. */
function neededBytes({ live }: MarkedPack): number {
  return packBytes(live.count, live.bytes)
}

/** A note whose pack is gone. */
function judgeNote(id: string, { marks, steps, isOld }: Judgement): void {
  const mark = marks.condemnedNotes.get(id)
  if (marks.forwarded.has(id)) {
    if (mark !== undefined) steps.pardonNotes.push(id)
  } else if (mark === undefined) {
    steps.condemnNotes.push(id)
  } else if (isOld(mark)) {
    steps.forget.push(id)
    steps.pardonNotes.push(id)
  }
}

/** Whether the note of a rewritten pack has all that is alive in it. */
function isTaken({ live }: MarkedPack, note: MovedPack): boolean {
  for (const { offset, length } of live.entries()) {
    if (movedRange(note, { pack: note.pack, offset, bytes: length }) === undefined) return false
  }
  return true
}
