// How many bytes of values one read of many keys may bring. A key of a few bytes may have a value of megabytes, and may be
// asked for a thousand times in one request: the values of a read are bounded while it goes on, not when all are there.

/** Stands in the place of a value that was not read because the budget was spent. It has no bytes; compare by identity. */
export const NOT_READ: Uint8Array = new Uint8Array(0)

/** A budget of bytes for the values of one read. Not used for a second one. */
export class ReadBudget {
  /** As it was given. */
  readonly bytesMax: number
  #bytes = 0

  /** @param bytesMax the value that passes it is the last one that is read */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Bytes of the values that were read. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether values are left out from now on. */
  get isSpent(): boolean {
    return this.#bytes > this.bytesMax
  }

  /** Counts a value; gives it back, or `NOT_READ` where the budget was spent before it came. */
  keep(value: Uint8Array | undefined): Uint8Array | undefined
  /** The same for a value that is still to come: it is counted when it is there. */
  keep(
    value: Uint8Array | undefined | Promise<Uint8Array | undefined>,
  ): Uint8Array | undefined | Promise<Uint8Array | undefined>
  keep(
    value: Uint8Array | undefined | Promise<Uint8Array | undefined>,
  ): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    if (value instanceof Promise) return value.then((late) => this.keep(late))
    if (value === undefined) return undefined
    if (this.isSpent) return NOT_READ
    this.#bytes += value.length
    return value
  }
}
