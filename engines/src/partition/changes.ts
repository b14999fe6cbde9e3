// How much of a state no version holds: what is lost when the machine is.
//
//   ── sealed ────────── written ──────────► now        `since` the newest version: what was written after its seal
//        └── committed: it is the newest version from here on
//
// Counted is what was written, not what is different: a key that is overwritten ten times counts ten times. It goes along
// with the state on disk, so that it is known after a stop. After a crash under durability `log` it is no less than what
// there is: a version that was committed after the last checkpoint is counted as if it held nothing of what the checkpoint
// does since the version before.

/** What a core has written since it was opened. */
export interface Written {
  readonly recordsWritten: number
  readonly bytesWritten: number
}

/** What was written since the newest version. */
export interface ChangesSince {
  /** When that was sealed, in milliseconds since 1970; 0: there is none. */
  readonly sealedMs: number
  readonly records: number
  readonly bytes: number
}

/** Nothing was: the newest version was sealed then; 0: there is none. */
export function nothingSince(sealedMs: number): ChangesSince {
  return { sealedMs, records: 0, bytes: 0 }
}

/** Of one state. */
export class Changes {
  /** Of the state that was opened, until a version is committed. */
  #before: ChangesSince
  /** What the core had written when the newest version was sealed. */
  #sealed: Written = { recordsWritten: 0, bytesWritten: 0 }

  constructor(before = nothingSince(0)) {
    this.#before = before
  }

  /** When the newest version was sealed; 0: there is none. */
  get sealedMs(): number {
    return this.#before.sealedMs
  }

  /** @param moment what the core had written by then; nothing is new of what the newest version holds */
  since(moment: Written): ChangesSince {
    const { sealedMs, records, bytes } = this.#before
    return {
      sealedMs,
      records: Math.max(0, records + moment.recordsWritten - this.#sealed.recordsWritten),
      bytes: Math.max(0, bytes + moment.bytesWritten - this.#sealed.bytesWritten),
    }
  }

  /** @param sealed what the core had written at the seal of the version that is the newest one now */
  committed(sealedMs: number, sealed: Written): void {
    this.#before = nothingSince(sealedMs)
    this.#sealed = sealed
  }
}
