// The table against a model that remembers everything, frames that come in any order, and what a table may look like
// when it comes back.

import { expect, test } from "vitest"
import { isEngineError } from "../base/error.ts"
import type { SequencedFrame } from "../engine.ts"
import { savedSessions } from "../snapshots/saved-sessions.ts"
import { type Outcome, outcomes, SessionTable } from "./session-table.ts"

const session = (name: number): Uint8Array => Buffer.from(name.toString(16).padStart(32, "0"), "hex")

function frame(sequence: number, unanswered = 0, name = 1, resent = false): SequencedFrame {
  return { session: session(name), sequence, unanswered, resent }
}

/** What the table says of a frame, as an outcome or a reason. */
function found(table: SessionTable, asked: SequencedFrame): Outcome | string {
  try {
    return table.find(asked) ?? "next"
  } catch (error) {
    if (isEngineError(error)) return error.reason
    throw error
  }
}

function reopened(table: SessionTable): SessionTable {
  return new SessionTable(savedSessions.optional().parse(table.describe()))
}

test("a frame is the next one when none that may still come lies before it", () => {
  const table = new SessionTable()
  expect(found(table, frame(2, 1))).toBe("FRAME_OUT_OF_ORDER")
  expect(found(table, frame(9, 0))).toBe("next")
  table.note(frame(9), outcomes.applied)
  expect(found(table, frame(11, 1))).toBe("FRAME_OUT_OF_ORDER")
  expect(found(table, frame(11, 2))).toBe("FRAME_OUT_OF_ORDER")
  expect(found(table, frame(10, 9))).toBe("next")
  expect(found(table, frame(12, 0))).toBe("next")
})

test("what came of the last 64 is known, what lies before is not", () => {
  const table = new SessionTable()
  const each = [outcomes.applied, outcomes.conditionFailed, outcomes.refused] as const
  for (let sequence = 1; sequence <= 200; sequence++) {
    if (sequence % 5 !== 0) table.note(frame(sequence), each[sequence % 3]!)
  }
  const known = reopened(table)
  expect(found(known, frame(135))).toBe("SESSION_EXPIRED")
  for (let sequence = 136; sequence <= 199; sequence++) {
    expect(found(known, frame(sequence)), `${sequence}`).toBe(sequence % 5 === 0 ? 0 : each[sequence % 3])
  }
  table.note(frame(1000), outcomes.applied)
  expect(found(table, frame(999))).toBe(outcomes.none)
  expect(found(table, frame(936))).toBe("SESSION_EXPIRED")
})

test("of 1024 sessions the idlest is forgotten first, and what may have come before is not begun anew", () => {
  const table = new SessionTable()
  for (let name = 1; name <= 1024; name++) table.note(frame(1, 0, name), outcomes.applied)
  table.note(frame(2, 0, 1), outcomes.applied)
  expect(found(table, frame(1, 0, 5000, true))).toBe("next")
  table.note(frame(1, 0, 2000), outcomes.applied)
  const again = reopened(table)
  expect(again.size).toBe(1024)
  expect(found(again, frame(2, 0, 1))).toBe(outcomes.applied)
  expect(found(again, frame(1, 0, 2, true))).toBe("SESSION_EXPIRED")
  expect(found(again, frame(7, 0, 2))).toBe("next")
  again.note(frame(1, 0, 3000), outcomes.applied)
  expect(found(again, frame(1, 0, 3, true))).toBe("SESSION_EXPIRED")
  expect(found(again, frame(1, 0, 4, true))).toBe(outcomes.applied)
})

test("a table that is malformed is not taken", () => {
  const table = new SessionTable()
  expect(table.describe()).toBeUndefined()
  table.note(frame(3), outcomes.applied)
  table.note(frame(3, 0, 2), outcomes.refused)
  const saved = table.describe()!
  const bytes = Buffer.from(saved.table, "base64")
  expect(bytes.length).toBe(96)
  const taken = (content: Uint8Array): boolean =>
    savedSessions.safeParse({ hasForgotten: false, table: Buffer.from(content).toString("base64") }).success
  expect(taken(bytes)).toBe(true)
  for (let end = 1; end < 96; end++)
    if (end !== 48) expect(taken(bytes.subarray(0, end)), `${end}`).toBe(false)
  expect(taken(Buffer.concat([bytes, bytes.subarray(0, 48)]))).toBe(false)
  const zero = Buffer.from(bytes)
  zero.fill(0, 16, 24)
  expect(taken(zero)).toBe(false)
  const vast = Buffer.from(bytes)
  vast.fill(0xff, 16, 24)
  expect(taken(vast)).toBe(false)
  expect(savedSessions.safeParse({ ...saved, table: `${saved.table} ` }).success).toBe(false)
})

/** xorshift32 */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

test.each([1, 2, 3, 4, 5, 6])("random frames, copies, gaps and reopenings, seed %i", (seed) => {
  const random = randomOf(seed * 7919)
  let table = new SessionTable()
  /** By session: what came of each sequence. */
  const model = new Map<number, Map<number, Outcome>>()
  for (let step = 0; step < 4000; step++) {
    const name = 1 + random(5)
    const all = model.get(name) ?? new Map<number, Outcome>()
    const last = Math.max(0, ...all.keys())
    const sequence = Math.max(1, last + random(5) - (random(10) === 0 ? 70 : 2))
    const unanswered = Math.min(random(4), sequence - 1)
    const asked = frame(sequence, unanswered, name, random(2) === 0)
    const gaps = Array.from({ length: Math.max(0, sequence - last - 1) }, (_, i) => last + 1 + i)
    const mayCome = gaps.filter((each) => each >= sequence - unanswered)
    const expected =
      sequence > last
        ? mayCome.length === 0
          ? "next"
          : "FRAME_OUT_OF_ORDER"
        : sequence <= last - 64
          ? "SESSION_EXPIRED"
          : (all.get(sequence) ?? 0)
    expect(found(table, asked), `step ${step}: ${name}/${sequence}, ${unanswered} unanswered`).toBe(expected)
    if (expected === "next") {
      const outcome = random(4) as Outcome
      table.note(asked, outcome)
      model.set(name, all.set(sequence, outcome))
    }
    if (random(50) === 0) table = reopened(table)
  }
})
