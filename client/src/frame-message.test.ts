import { PipelineRequest, UNSEQUENCED } from "@varve/proto"
import { expect, test } from "vitest"
import { encodeFrameMessage, HEAD_BYTES_MAX } from "./frame-message.ts"

/** What the generated code reads of what is encoded here, from records with headroom and without. */
function recoded(request: PipelineRequest): PipelineRequest {
  const { session, sequence, unanswered, resent, work } = request
  const place = { session, sequence: Number(sequence), unanswered, resent }
  const copied = PipelineRequest.decode(encodeFrameMessage({ ...request, place, hasHeadroom: false }))
  if (work !== undefined && work.$case !== "conditionalWrites") {
    const buffer = Buffer.concat([Buffer.alloc(HEAD_BYTES_MAX), work.value])
    const value = buffer.subarray(HEAD_BYTES_MAX)
    const message = encodeFrameMessage({ ...request, work: { ...work, value }, place, hasHeadroom: true })
    expect(message.buffer === buffer.buffer).toBe(true)
    const decoded = PipelineRequest.decode(message)
    // Large ones byte by byte are seconds.
    expect(Buffer.compare(bytesOf(decoded), bytesOf(copied))).toBe(0)
    expect({ ...decoded, work: undefined }).toEqual({ ...copied, work: undefined })
  }
  return copied
}

function bytesOf({ work }: PipelineRequest): Uint8Array {
  return work === undefined || work.$case === "conditionalWrites" ? new Uint8Array(0) : work.value
}

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
      const decoded = recoded(request)
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
  expect(recoded(request)).toEqual(request)
})

test("frame message: the place in a session is what the generated code decodes, whatever its numbers", () => {
  const numbers = [1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5, 2 ** 35, Number.MAX_SAFE_INTEGER]
  for (const sequence of numbers) {
    const request: PipelineRequest = {
      id: 0xffff_ffff,
      store: sequence % 2 === 0 ? "s".repeat(42) : "ä€".repeat(8),
      partition: 16_383,
      work: { $case: "operations", value: Buffer.from("abc") },
      lineage: "f".repeat(32),
      session: Buffer.alloc(16, 0xfe),
      sequence: BigInt(sequence),
      unanswered: Math.min(63, sequence - 1),
      resent: sequence % 2 === 0,
    }
    expect(recoded(request)).toEqual(request)
  }
})
