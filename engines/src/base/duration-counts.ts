// How long things of a kind took, counted by upper bounds, as histograms want it. Plain numbers: they are shared, sent to
// other threads, and added up.

/** For what a disk or a processor does: upper bounds in milliseconds, each included. */
export const shortBoundsMs: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500,
]

/** For what goes over a network. */
export const longBoundsMs: readonly number[] = [
  0.25, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000,
]

/** Index of the count for what took `ms`: of the first bound that it does not exceed, else behind the last one. */
export function boundIndex(boundsMs: readonly number[], ms: number): number {
  let index = 0
  while (index < boundsMs.length && ms > boundsMs[index]!) index++
  return index
}

/** A count of 0 for each bound, and one for what took longer. */
export function noCounts(boundsMs: readonly number[]): number[] {
  return new Array<number>(boundsMs.length + 1).fill(0)
}
