// What stands in two packages says the same in both: the record encoding, limits, and the reasons of errors.

import {
  checkBatch,
  decodeRecord,
  KEY_BYTES_MAX as ENGINES_KEY_BYTES_MAX,
  encodeRecord,
  errorReasons,
  METADATA_BYTES_MAX,
  RecordCursor,
  SESSION_BYTES,
} from "@varve/engines/internal"
import {
  decodeRecords,
  encodeRecords,
  errorTable,
  isReason,
  KEY_BYTES_MAX,
  RecordWriter,
  VarveError,
} from "@varve/proto"
import fc from "fast-check"
import { expect, test } from "vitest"
import { runVarveHere } from "../cli/run-varve.ts"
import { pair } from "./pair.ts"

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(126, 127, 128, 129, 16_383, 16_384).map((length) => new Uint8Array(length).fill(length)),
)
const anyKey = anyBytes.filter((key) => key.length > 0)

test("records: both packages write the same bytes and read each other's", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ key: anyKey, value: anyBytes }), { maxLength: 20 }), (records) => {
      const ours = encodeRecords(records)
      const theirs = Buffer.concat(records.map(({ key, value }) => encodeRecord(key, value)))
      expect(Buffer.compare(ours, theirs)).toBe(0)
      expect(checkBatch(ours, KEY_BYTES_MAX).recordCount).toBe(records.length)
      expect(decodeRecords(theirs).length).toBe(records.length)
    }),
    { seed: 20_260_101, numRuns: 200 },
  )
})

test("records: both packages accept and refuse the same bytes, flags apart", () => {
  const cursor = new RecordCursor()
  let accepted = 0
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 12 }), fc.boolean(), (bytes, small) => {
      const batch = small ? bytes.map((byte, at) => (at < 2 ? byte % 6 : at === 2 ? 0 : byte)) : bytes
      const theirs = wholeBatch(batch, cursor)
      if (theirs) accepted++
      expect(isAccepted(batch)).toBe(theirs)
    }),
    { seed: 20_260_102, numRuns: 20_000 },
  )
  expect(accepted).toBeGreaterThan(20)
})

test("errors: every reason of the engines is in the table, busy ones may be tried again", () => {
  for (const [reason, kind] of Object.entries(errorReasons)) {
    expect(isReason(reason), reason).toBe(true)
    if (isReason(reason) && kind === "busy") expect(errorTable[reason].retryable).toBe(true)
    if (isReason(reason) && kind === "invalid") expect(errorTable[reason]).toMatchObject({ httpStatus: 400 })
  }
})

test("limits: keys are as long in both packages, and the client's sessions are what engines take", async () => {
  expect(ENGINES_KEY_BYTES_MAX).toBe(KEY_BYTES_MAX)
  const { daemon, state } = await pair()
  await state.set("k", "v")
  expect(daemon.frames[0]!.session).toHaveLength(SESSION_BYTES)
})

test("limits: the command line takes as much metadata as engines do, and tells before it asks a daemon", async () => {
  const { daemon } = await pair()
  const words = ["snapshot", "1", "--metadata", "-", "--address", daemon.address]
  const more = await runVarveHere(words, Buffer.alloc(METADATA_BYTES_MAX + 1, 97))
  expect([more.code, more.stderr]).toEqual([
    2,
    expect.stringContaining(`more than ${METADATA_BYTES_MAX} bytes`),
  ])
  expect(daemon.calls).toEqual([])
  expect((await runVarveHere(words, Buffer.alloc(METADATA_BYTES_MAX, 97))).code).toBe(0)
})

test("records: a record at the limit of a key passes in both packages", () => {
  const writer = new RecordWriter()
  writer.addKey(new Uint8Array(KEY_BYTES_MAX).fill(1))
  expect(checkBatch(writer.take(), 0)).toMatchObject({ recordCount: 1 })
})

function wholeBatch(batch: Uint8Array, cursor: RecordCursor): boolean {
  for (let at = 0; at < batch.length; at = cursor.end) {
    if (!decodeRecord(batch, at, batch.length, cursor) || cursor.flags !== 0) return false
  }
  return true
}

function isAccepted(batch: Uint8Array): boolean {
  try {
    decodeRecords(batch)
    return true
  } catch (error) {
    if (error instanceof VarveError) return false
    throw error
  }
}
