// One life, stopped in every call that changes the disk: what is left at each stop, and what the life had promised by
// then. The life itself goes on to its end, so that its beginning is not lived again for each stop.
//
//   life    ──w──────s──r──w──r──s──▶ end        w, s: writes, syncs and the like; r: calls that change nothing
//   stops     1      2     3     4    5          between two of them the disk stays as it is
//
// What overlaps stays as it is, too: of a call under way whose effect has not come yet, nothing is left.

import type { SimulatedFileSystem } from "./simulated-file-system.ts"

export interface Stop<Promises> {
  /** Stopped: `restart` gives what power loss leaves of it, `restartProcess` what the end of the process leaves. */
  readonly disk: SimulatedFileSystem
  readonly promises: Promises
  /** Counted from 1. */
  readonly number: number
  /** The last calls before the stop, for people. */
  readonly where: string
}

/** Calls that `where` names. */
const CALLS_TOLD = 3

/** @param promised what the life has promised so far: a copy */
export async function stopEverywhere<Promises>(
  disk: SimulatedFileSystem,
  live: () => Promise<void>,
  promised: () => Promises,
): Promise<Stop<Promises>[]> {
  const stops: Stop<Promises>[] = []
  const stop = (stopped: SimulatedFileSystem): void => {
    const where = disk.trace.slice(-CALLS_TOLD).join("; ")
    stops.push({ disk: stopped, promises: promised(), number: stops.length + 1, where })
  }
  disk.beforeChange = (stopHere) => stop(stopHere())
  await live()
  disk.beforeChange = () => undefined
  stop(disk)
  return stops
}
