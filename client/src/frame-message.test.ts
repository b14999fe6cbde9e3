import { PipelineRequest, UNSEQUENCED } from "@varve/proto"
import { expect, test } from "vitest"
import { encodeFrameMessage } from "./frame-message.ts"

test("frame message: what is encoded here is decoded by the generated code, whatever its size", () => {
  // Lengths of one to three bytes, and both sides of each step.
  for (const length of [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
    for (const $case of ["reads", "writes", "operations"] as const) {
      const request: PipelineRequest = {
        id: length + 1,
        store: "orders",
        partition: 3,
        work: { $case, value: Buffer.alloc(length, length % 251) },
        lineage: "L1",
        ...UNSEQUENCED,
      }
      const decoded = PipelineRequest.decode(encodeFrameMessage(request))
      expect({ ...decoded, work: decoded.work?.$case }).toEqual({ ...request, work: $case })
      const { value } = decoded.work as { value: Uint8Array }
      expect(Buffer.compare(value, Buffer.alloc(length, length % 251))).toBe(0)
    }
  }
})

test("frame message: conditional writes are encoded too", () => {
  const request: PipelineRequest = {
    id: 7,
    store: "orders",
    partition: 0,
    work: { $case: "conditionalWrites", value: { records: Buffer.from("abc"), expected: Buffer.from("de") } },
    lineage: "",
    ...UNSEQUENCED,
  }
  expect(PipelineRequest.decode(encodeFrameMessage(request))).toEqual(request)
})
