// What a conditional write expects of keys, and what is known about each of them:
//
//            look                 answer
//   unknown ──────► asked ─────────────────────► holds, or how it does not
//      ▲              │                                    │
//      └──────────────┴──────────── mark ──────────────────┘      the key was written
//
// An answer counts only for what is still asked: one that was marked meanwhile is asked again, so whatever is known
// is true of the present moment. A marked key was written a moment ago, and engines read that from memory.
//
// Cost: one view a condition for the engine, at most KEYS_PER_READ_MAX of them and of the values read at a time;
// values are compared and dropped.

import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import { decodeRecord, RecordCursor } from "../base/record.ts"

/** Of one write: what is compared in one turn when all is in memory. */
export const CONDITIONS_MAX = 65_536
/** Bounds what the values of one round of reads take in memory. */
const KEYS_PER_READ_MAX = 64

const UNKNOWN = 0
const ASKED = 1
const HOLDS = 2
const ABSENT = 3
const PRESENT = 4
const DIFFERENT = 5

const failureTexts: Readonly<Record<number, string>> = {
  [ABSENT]: "the key is absent; a value was expected",
  [PRESENT]: "the key is present; none was expected",
  [DIFFERENT]: "the key has a different value",
}

type Values = readonly (Uint8Array | undefined)[]
export type ReadMany = (keys: readonly Uint8Array[]) => Values | Promise<Values>

export class Conditions {
  #bytes: Uint8Array
  readonly #keyStarts: number[] = []
  readonly #valueStarts: number[] = []
  readonly #ends: number[] = []
  readonly #findings: Uint8Array
  /** All before it hold. */
  #next = 0

  /**
   * @param expected checked records; the caller's until `own`
   * @throws EngineError `BATCH_TOO_LARGE`
   */
  constructor(expected: Uint8Array) {
    this.#bytes = expected
    const cursor = new RecordCursor()
    for (let at = 0; at < expected.length; at = cursor.end) {
      assert(decodeRecord(expected, at, expected.length, cursor), "conditions are checked records")
      if (this.#ends.length === CONDITIONS_MAX) {
        throw new EngineError("BATCH_TOO_LARGE", `a write takes at most ${CONDITIONS_MAX} conditions`)
      }
      this.#keyStarts.push(cursor.keyStart)
      this.#valueStarts.push(cursor.valueStart)
      this.#ends.push(cursor.end)
    }
    this.#findings = new Uint8Array(this.#ends.length)
  }

  get count(): number {
    return this.#findings.length
  }

  get bytes(): number {
    return this.#bytes.length
  }

  /** Rounds of reads that it takes when no key is written meanwhile. */
  get roundCount(): number {
    return Math.ceil(this.count / KEYS_PER_READ_MAX)
  }

  /** Copies what the caller lent. */
  own(): void {
    this.#bytes = new Uint8Array(this.#bytes) // `slice` of a Buffer is a view.
  }

  /** The key of a condition, as a view. */
  key(index: number): Uint8Array {
    return this.#bytes.subarray(this.#keyStarts[index], this.#valueStarts[index])
  }

  /**
   * `undefined`: all hold at this moment. A promise: values are on their way; call again when it has resolved.
   * @throws EngineError `CONDITION_FAILED` about the first that does not hold
   */
  look(read: ReadMany): Promise<void> | undefined {
    for (;;) {
      const asked = this.#unknown()
      if (asked.length === 0) return undefined
      for (const index of asked) this.#findings[index] = ASKED
      const values = read(asked.map((index) => this.key(index)))
      if (values instanceof Promise) return values.then((late) => this.#take(asked, late))
      this.#take(asked, values)
    }
  }

  /** What is known about the key of a condition is true no more. */
  mark(index: number): void {
    this.#findings[index] = UNKNOWN
    this.#next = Math.min(this.#next, index)
  }

  /** The first conditions that nothing is known about. @throws EngineError `CONDITION_FAILED` */
  #unknown(): number[] {
    const findings = this.#findings
    while (findings[this.#next] === HOLDS) this.#next++
    const unknown: number[] = []
    for (let index = this.#next; index < findings.length && unknown.length < KEYS_PER_READ_MAX; index++) {
      const finding = findings[index]!
      assert(finding !== ASKED, "one round of reads at a time")
      if (finding === UNKNOWN) unknown.push(index)
      else if (finding !== HOLDS && unknown.length === 0) throw this.#failure(index, finding)
    }
    return unknown
  }

  #take(asked: readonly number[], values: Values): void {
    for (const [at, index] of asked.entries()) {
      if (this.#findings[index] === ASKED) this.#findings[index] = this.#compare(index, values[at])
    }
  }

  #compare(index: number, value: Uint8Array | undefined): number {
    const start = this.#valueStarts[index]!
    const end = this.#ends[index]!
    // No engine holds an empty value: empty is absent.
    const isAbsent = value === undefined || value.length === 0
    if (start === end) return isAbsent ? HOLDS : PRESENT
    if (isAbsent) return ABSENT
    const isEqual =
      value.length === end - start && Buffer.compare(value, this.#bytes.subarray(start, end)) === 0
    return isEqual ? HOLDS : DIFFERENT
  }

  #failure(index: number, finding: number): EngineError {
    const which = this.count === 1 ? "the condition" : `condition ${index + 1} of ${this.count}`
    const text = `${which} does not hold: ${failureTexts[finding]!}; nothing was applied`
    return new EngineError("CONDITION_FAILED", text)
  }
}
