// The one door to time.

export interface Clock {
  /** Milliseconds since 1970, for people and for ages that outlive the process. May jump. */
  nowMs(): number
  /** Milliseconds from an arbitrary start, fractions included, never backwards. For durations. */
  monotonicMs(): number
  /**
   * Resolves after `ms`, or at once when `signal` is aborted. Never rejects. Keeps the process alive, for
   * somebody may wait for what comes behind it, unless it is "idle": then nobody does.
   */
  sleep(ms: number, signal?: AbortSignal, whatFor?: "idle"): Promise<void>
  /** Resolves in a later turn of the event loop, after pending I/O had its chance. For long work in slices. */
  nextTurn(): Promise<void>
}
