// The one door to time.

export interface Clock {
  /** Milliseconds since 1970, for people and for ages that outlive the process. May jump. */
  nowMs(): number
  /** Milliseconds from an arbitrary start, fractions included, never backwards. For durations. */
  monotonicMs(): number
  /** Resolves after `ms`, or at once when `signal` is aborted. Never rejects. Does not keep a process alive. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Resolves in a later turn of the event loop, after pending I/O had its chance. For long work in slices. */
  nextTurn(): Promise<void>
}
