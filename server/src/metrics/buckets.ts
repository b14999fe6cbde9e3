// Bounds of all histograms of durations, in seconds: from 0.1 ms, what memory answers in, to 2.5 s, what nobody
// waits for; snapshots and restores take longer.

export const durationBuckets = [
  0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
]

export const longDurationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
