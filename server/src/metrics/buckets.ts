// Bounds of the histograms of snapshots and restores, in seconds.

import { shortBoundsMs } from "@varve/engines/internal"

/** The same as those of what is counted in plain fields (counted-histogram.ts). */
export const durationBuckets = shortBoundsMs.map((ms) => ms / 1000)

export const longDurationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
