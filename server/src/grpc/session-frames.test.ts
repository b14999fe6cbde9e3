// What stands in front of a partition's table of sessions.

import { EngineError } from "@varve/engines"
import { type PipelineRequest, UNSEQUENCED, VarveError } from "@varve/proto"
import { expect, test } from "vitest"
import { comesAgain, notHandedOver, placeOf } from "./session-frames.ts"

const session = Buffer.alloc(16, 7)
const admit = (): void => undefined

function frame(place: Partial<PipelineRequest>): PipelineRequest {
  const work = { $case: "writes" as const, value: new Uint8Array(0) }
  return { id: 1, store: "default", partition: 0, work, lineage: "", ...UNSEQUENCED, ...place }
}

test("a frame without a session has no place, one with a session has a whole one", () => {
  expect(placeOf(frame({}), admit)).toBeUndefined()
  const last = BigInt(Number.MAX_SAFE_INTEGER)
  expect(placeOf(frame({ session, sequence: last, unanswered: 63, resent: true }), admit)).toEqual({
    ...{ session, sequence: Number.MAX_SAFE_INTEGER, unanswered: 63, resent: true },
    admit,
  })
  const wrong: Partial<PipelineRequest>[] = [
    { session },
    { session, sequence: last + 1n },
    { session, sequence: 2n ** 64n - 1n },
    { session, sequence: 3n, unanswered: 3 },
    { session, sequence: 100n, unanswered: 64 },
    { session: session.subarray(1), sequence: 1n },
    { session: Buffer.alloc(17), sequence: 1n },
    { sequence: 1n },
    { resent: true },
  ]
  for (const place of wrong) {
    expect(() => placeOf(frame(place), admit)).toThrow(expect.objectContaining({ reason: "FRAME_MALFORMED" }))
  }
})

test("a frame of a session that does not come to its partition is sent again: it may be applied already", () => {
  const full = new VarveError("OVERLOADED", "full")
  expect(notHandedOver(frame({}), full)).toBe(full)
  expect(notHandedOver(frame({ session, sequence: 1n }), full)).toMatchObject({
    reason: "CONNECTION_LOST",
    message: expect.stringContaining("send it again: full"),
  })
})

test("only refusals that leave no trace have a frame come again", () => {
  for (const reason of ["FRAME_OUT_OF_ORDER", "RESTORE_IN_PROGRESS", "ENGINE_CLOSED"] as const) {
    expect(comesAgain(new EngineError(reason, ""))).toBe(true)
  }
  expect(comesAgain(new EngineError("STORAGE_FULL", ""))).toBe(false)
  expect(comesAgain(new VarveError("OVERLOADED", ""))).toBe(false)
})
