import { deepStrictEqual, throws } from "node:assert"
import { test } from "vitest"
import { checkBatch } from "./batch.ts"
import { isEngineError } from "./error.ts"
import { encodeRecord } from "./record.ts"

test("batch: whole batches are counted, the first bad record is named", () => {
  const good = Buffer.concat(
    ["a", "bb", "ccc"].map((k) => encodeRecord(Buffer.from(k), Buffer.from("v".repeat(k.length)))),
  )
  deepStrictEqual(checkBatch(good, 3), { recordCount: 3, recordBytesMax: 9 })
  deepStrictEqual(checkBatch(new Uint8Array(0), 3), { recordCount: 0, recordBytesMax: 0 })
  const reasons: [Uint8Array, number, string, string][] = [
    [good, 2, "VALUE_TOO_LARGE", "3 bytes"],
    [good.subarray(0, good.length - 1), 3, "RECORD_MALFORMED", "record 2"],
    [Buffer.concat([good, Buffer.from([0])]), 3, "RECORD_MALFORMED", "record 3"],
    [Buffer.from("0100016b", "hex"), 3, "RECORD_FLAGS_UNSUPPORTED", "flags 1"],
    [Buffer.from("0100046b", "hex"), 3, "RECORD_FLAGS_UNSUPPORTED", "flags 4"],
    [Buffer.from("0101806b76", "hex"), 3, "RECORD_FLAGS_UNSUPPORTED", "flags 128"],
    [Buffer.concat([good, Buffer.from("000100", "hex"), good]), 3, "KEY_EMPTY", "record 3"],
    [
      Buffer.concat([Buffer.from("8080040000", "hex"), Buffer.alloc(65_536)]),
      3,
      "KEY_TOO_LARGE",
      "record 0 of the batch has 65536 bytes",
    ],
    [Buffer.from("81000061", "hex"), 3, "RECORD_MALFORMED", "at byte 0 of 4"],
  ]
  for (const [batch, valueBytesMax, reason, words] of reasons) {
    throws(
      () => checkBatch(batch, valueBytesMax),
      (error) => isEngineError(error) && error.reason === reason && error.message.includes(words),
    )
  }
})
