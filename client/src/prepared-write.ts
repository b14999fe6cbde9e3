// The records and conditions of one write, as bytes.

import { type KeyValue, recordBytes, VarveError } from "@varve/proto"
import { EMPTY, toBytes } from "./bytes.ts"
import { owned, toKey } from "./call-arguments.ts"
import { checkArray, shown, toFlag } from "./check-options.ts"
import type { Condition, SetOptions } from "./options.ts"
import type { ExpectedRecord, WriteRecord } from "./state-types.ts"

export class PreparedWrite {
  readonly keys: readonly Uint8Array[]
  /** In the order of `keys`. */
  readonly values: readonly Uint8Array[]
  /** Conditions: those of the call, then those of the records. */
  readonly expected: readonly KeyValue[]
  /** Of records and conditions, encoded. */
  readonly bytes: number
  readonly #given: readonly WriteRecord[]

  private constructor(
    given: readonly WriteRecord[],
    keys: readonly Uint8Array[],
    values: readonly Uint8Array[],
    expected: readonly KeyValue[],
  ) {
    this.#given = given
    this.keys = keys
    this.values = values
    this.expected = expected
    this.bytes =
      keys.reduce((sum, key, index) => sum + recordBytes(key.length, values[index]!.length), 0) +
      expected.reduce((sum, { key, value }) => sum + recordBytes(key.length, value.length), 0)
  }

  /** The caller's bytes, not copied. @throws VarveError `REQUEST_INVALID`, `KEY_EMPTY`, `KEY_TOO_LARGE` */
  static of(records: readonly WriteRecord[], expected: readonly ExpectedRecord[] = []): PreparedWrite {
    checkArray(records, "the argument of write", "{ key, value }")
    checkArray(expected, "expected", "{ key, value }")
    const keys: Uint8Array[] = []
    const values: Uint8Array[] = []
    const conditions: KeyValue[] = []
    for (const record of expected) {
      checkIsObject(record)
      conditions.push({ key: toKey(record.key), value: toBytes(record.value, "value") })
    }
    for (const record of records) {
      checkIsObject(record)
      const key = toKey(record.key)
      keys.push(key)
      values.push(toBytes(record.value, "value"))
      const value = expectedValue(record)
      if (value !== undefined) conditions.push({ key, value })
    }
    return new PreparedWrite(records, keys, values, conditions)
  }

  /** Nothing to write and nothing to compare. */
  get isEmpty(): boolean {
    return this.keys.length === 0 && this.expected.length === 0
  }

  /** The same in bytes that stay as they are, whatever the caller does to its own. */
  owned(): PreparedWrite {
    return new PreparedWrite(
      this.#given,
      this.keys.map((key, index) => owned(this.#given[index]!.key, key)),
      this.values.map((value, index) => owned(this.#given[index]!.value, value)),
      this.expected.map(({ key, value }) => ({ key: Uint8Array.from(key), value: Uint8Array.from(value) })),
    )
  }
}

/** Whether options of a `set` hold a condition, well-formed or not. */
export function isConditional(options: SetOptions | undefined): boolean {
  return options?.ifAbsent !== undefined || options?.ifValue !== undefined
}

/** What the key of the record is expected to hold (empty: nothing); `undefined`: anything. */
function expectedValue({ ifAbsent, ifValue }: Condition): Uint8Array | undefined {
  const isAbsent = toFlag(ifAbsent, "ifAbsent")
  if (ifValue === undefined) return isAbsent ? EMPTY : undefined
  if (isAbsent) {
    throw new VarveError("REQUEST_INVALID", "ifAbsent and ifValue say different things: give one of them")
  }
  return toBytes(ifValue, "ifValue")
}

function checkIsObject(record: unknown): void {
  if (typeof record === "object" && record !== null) return
  throw new VarveError("REQUEST_INVALID", `a record is an object { key, value }, not ${shown(record)}`)
}
