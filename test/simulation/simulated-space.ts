// How much a simulated disk can still hold. Counted by the lengths of files; names cost nothing.

export class SimulatedSpace {
  /** Bytes by which files may still grow. */
  freeBytes = Number.POSITIVE_INFINITY

  /** Takes up to `bytes`; returns how many there were. */
  take(bytes: number): number {
    const taken = Math.min(bytes, Math.max(0, this.freeBytes))
    this.freeBytes -= taken
    return taken
  }

  give(bytes: number): void {
    this.freeBytes += bytes
  }
}
