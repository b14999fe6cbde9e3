// One version after the other: how long the seal holds the thread, and what a small change costs.

import { seededRandom } from "./random.ts"
import { median } from "./rounds.ts"
import type { IncrementFigures, SealFigures } from "./snapshot-figures.ts"
import type { MeasuredState } from "./snapshot-state.ts"
import { RECORD_BYTES } from "./workload.ts"

/** Writes between two seals. */
const SEAL_WRITES = 200
const CHANGED_PART = 0.01
/** Of a small version: its pack and its manifest. */
const MANIFESTS = 1

/** `count` versions with some writes before each. */
export async function measureSeals(state: MeasuredState, keys: number, count: number): Promise<SealFigures> {
  const random = seededRandom(11)
  const seals: number[] = []
  for (let round = 0; round < count; round++) {
    for (let i = 0; i < SEAL_WRITES; i++) await state.set(random(keys))
    seals.push((await state.snapshot()).sealMs)
  }
  const sorted = seals.toSorted((a, b) => a - b)
  return {
    count,
    medianMs: median(seals),
    p99Ms: sorted[Math.ceil(sorted.length * 0.99) - 1]!,
    maxMs: sorted.at(-1)!,
  }
}

/** `count` versions, each after a hundredth of the keys, chosen at random, got another value. Merges run as they come. */
export async function measureIncrements(
  state: MeasuredState,
  keys: number,
  count: number,
): Promise<IncrementFigures> {
  const changedKeys = Math.ceil(keys * CHANGED_PART)
  const changedBytes = changedKeys * RECORD_BYTES
  const mergesBefore = state.engine.statistics().mergeCount
  const bytesBefore = state.packBytes()
  const ratios: number[] = []
  const times: number[] = []
  const objects: number[] = []
  const undisturbed: number[] = []
  for (let round = 1; round <= count; round++) {
    const random = seededRandom(round)
    const chosen = new Set<number>()
    while (chosen.size < changedKeys) chosen.add(random(keys))
    for (const record of chosen) await state.set(record)
    const packs = state.packCount()
    const merges = state.engine.statistics().mergeCount
    const result = await state.snapshot()
    ratios.push(result.bytesNew / changedBytes)
    times.push(result.totalMs)
    const created = state.packCount() - packs + MANIFESTS
    objects.push(created)
    if (state.engine.statistics().mergeCount === merges) undisturbed.push(created)
  }
  return {
    count,
    changedKeys,
    changedBytes,
    ratioMedian: median(ratios),
    ratioWorst: Math.max(...ratios),
    msMedian: median(times),
    msWorst: Math.max(...times),
    objectsMedian: median(objects),
    objectsWorst: undisturbed.length === 0 ? null : Math.max(...undisturbed),
    mergeCount: state.engine.statistics().mergeCount - mergesBefore,
    uploadedRatio: (state.packBytes() - bytesBefore) / (count * changedBytes),
  }
}
