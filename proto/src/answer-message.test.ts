import { expect, test } from "vitest"
import { decodeAnswerMessage, encodeAnswerMessage } from "./answer-message.ts"
import { VarveError } from "./errors.ts"
import { PipelineResponse } from "./gen/varve/v1/state_backend.ts"
import { encodeValues } from "./record-batch.ts"

const FAILURE = { code: 8, reason: "OVERLOADED", message: "too much" }

const operations = (values: Uint8Array, written: number): PipelineResponse["result"] => ({
  $case: "operations",
  value: { values, written, errors: [], writesError: undefined },
})

const RESULTS: readonly PipelineResponse["result"][] = [
  operations(encodeValues([Buffer.from("xyz"), undefined]), 0),
  operations(encodeValues([Buffer.alloc(20_000, 1)]), 300),
  operations(new Uint8Array(0), 0),
  operations(new Uint8Array(0), 2 ** 32 - 1),
  {
    $case: "operations",
    value: {
      values: Buffer.from([0]),
      written: 1,
      errors: [{ index: 3, error: FAILURE }],
      writesError: FAILURE,
    },
  },
  { $case: "values", value: Buffer.from([0]) },
  { $case: "written", value: 7 },
  { $case: "error", value: FAILURE },
  undefined,
]

/** What comes of it, in a form that can be compared: buffers of either kind are the same. */
function outcome(decode: () => PipelineResponse): string {
  try {
    return Buffer.from(PipelineResponse.encode(decode()).finish()).toString("hex")
  } catch (error) {
    return error instanceof VarveError ? String(error) : "malformed"
  }
}

test("answer message: it is decoded as the generated code decodes it", () => {
  for (const id of [1, 127, 128, 2 ** 32 - 1]) {
    for (const result of RESULTS) {
      const message = Buffer.from(PipelineResponse.encode({ id, result }).finish())
      expect(outcome(() => decodeAnswerMessage(message))).toBe(
        outcome(() => PipelineResponse.decode(message)),
      )
      expect(decodeAnswerMessage(message)).toEqual(PipelineResponse.decode(message))
    }
  }
})

test("answer message: every message cut off, and with any byte changed, is decoded as the generated code decodes it", () => {
  const message = Buffer.from(
    PipelineResponse.encode({ id: 300, result: operations(encodeValues([Buffer.from("xyz")]), 5) }).finish(),
  )
  for (let end = 0; end <= message.length; end++) {
    const part = message.subarray(0, end)
    expect(
      outcome(() => decodeAnswerMessage(part)),
      `cut at ${end}`,
    ).toBe(outcome(() => PipelineResponse.decode(part)))
  }
  for (let place = 0; place < message.length; place++) {
    for (let byte = 0; byte < 256; byte++) {
      const changed = Buffer.from(message)
      changed[place] = byte
      expect(
        outcome(() => decodeAnswerMessage(changed)),
        `${byte} at ${place}`,
      ).toBe(outcome(() => PipelineResponse.decode(changed)))
    }
  }
})

/** Both sides of each step in the length of a number. */
const STEPS = [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]

test("answer message: the generated code decodes what went in, whatever its numbers", () => {
  for (const length of STEPS) {
    for (const written of [...STEPS, 2 ** 28 - 1, 2 ** 28, 2 ** 32 - 1]) {
      const values = Buffer.alloc(length, written % 251)
      const value = { values, written, errors: [], writesError: undefined }
      const answer: PipelineResponse = { id: 2 ** 32 - 1 - length, result: { $case: "operations", value } }
      const message = encodeAnswerMessage(answer)
      const expected = PipelineResponse.encode(answer).finish()
      expect(message.length).toBe(expected.length)
      const { id, result } = PipelineResponse.decode(message)
      if (result?.$case !== "operations") throw new Error(`decoded as ${result?.$case}`)
      expect({ id, written: result.value.written }).toEqual({ id: answer.id, written })
      expect(Buffer.compare(result.value.values, values)).toBe(0)
    }
  }
})

test("answer message: errors, and answers to other frames, are encoded too", () => {
  const results: PipelineResponse["result"][] = [
    {
      $case: "operations",
      value: {
        values: Buffer.from([0]),
        written: 1,
        errors: [{ index: 3, error: FAILURE }],
        writesError: undefined,
      },
    },
    {
      $case: "operations",
      value: { values: Buffer.from([0]), written: 0, errors: [], writesError: FAILURE },
    },
    { $case: "values", value: Buffer.from([0]) },
    { $case: "written", value: 7 },
    { $case: "error", value: FAILURE },
    undefined,
  ]
  for (const result of results) {
    expect(PipelineResponse.decode(encodeAnswerMessage({ id: 5, result }))).toEqual({ id: 5, result })
  }
})
