// Requests to an object store, counted in shared memory: most are made by jobs, in threads of their own, and one page tells
// of all.
//
//   for each operation, 8 bytes a number:
//   failures │ retries │ bytes │ microseconds │ requests by how long they took, by longBoundsMs …
//
// A request is a call of an ObjectStore, as long as its caller waits: its turn, attempts that failed, and pauses included.

import { boundIndex, longBoundsMs, noCounts } from "../base/duration-counts.ts"

export const requestOperations = ["get", "create", "list", "remove"] as const
export type RequestOperation = (typeof requestOperations)[number]

/** Of one operation, since the figures were made. */
export interface RequestStatistics {
  readonly failureCount: number
  /** Attempts after the first. */
  readonly retryCount: number
  /** Of objects, or parts of them, that were read or created. */
  readonly bytes: number
  readonly ms: number
  /** Requests, failed ones too, by how long they took: by `longBoundsMs`. */
  readonly counts: readonly number[]
}

const FAILURES = 0
const RETRIES = 1
const BYTES = 2
const MICROSECONDS = 3
const COUNTS = 4
const NUMBERS = COUNTS + noCounts(longBoundsMs).length
const NUMBER_BYTES = 8

/** Any number of them, in any thread, may count into the same memory. */
export class RequestFigures {
  readonly memory: SharedArrayBuffer
  readonly #numbers: BigInt64Array<SharedArrayBuffer>

  /** @param memory of other figures, to count into the same */
  constructor(
    memory: SharedArrayBuffer = new SharedArrayBuffer(requestOperations.length * NUMBERS * NUMBER_BYTES),
  ) {
    this.memory = memory
    this.#numbers = new BigInt64Array(memory)
  }

  /** A request has ended. @param bytes that it read or created */
  ended(operation: RequestOperation, ms: number, bytes: number): void {
    this.#add(operation, BYTES, bytes)
    this.#add(operation, MICROSECONDS, Math.round(ms * 1000))
    this.#add(operation, COUNTS + boundIndex(longBoundsMs, ms), 1)
  }

  /** As `ended`, and it has failed. */
  failed(operation: RequestOperation, ms: number): void {
    this.#add(operation, FAILURES, 1)
    this.ended(operation, ms, 0)
  }

  /** An attempt has failed, and another one is made. */
  retried(operation: RequestOperation): void {
    this.#add(operation, RETRIES, 1)
  }

  of(operation: RequestOperation): RequestStatistics {
    const number = (which: number): number =>
      Number(Atomics.load(this.#numbers, this.#indexOf(operation, which)))
    return {
      failureCount: number(FAILURES),
      retryCount: number(RETRIES),
      bytes: number(BYTES),
      ms: number(MICROSECONDS) / 1000,
      counts: noCounts(longBoundsMs).map((_, i) => number(COUNTS + i)),
    }
  }

  #add(operation: RequestOperation, which: number, value: number): void {
    Atomics.add(this.#numbers, this.#indexOf(operation, which), BigInt(value))
  }

  #indexOf(operation: RequestOperation, which: number): number {
    return requestOperations.indexOf(operation) * NUMBERS + which
  }
}
