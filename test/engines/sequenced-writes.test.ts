// Frames of a session, on every engine: sent again they are known, whatever has become of the state in between.

import { randomBytes } from "node:crypto"
import { type Engine, engineNames, type SequencedFrame } from "@varve/engines"
import { encodeRecords } from "@varve/proto"
import { expect, test } from "vitest"
import { simulatedSeams } from "../simulation/index.ts"
import { afterKill, afterPowerLoss, bytes, cool, openDurable, openTiny, read } from "./engine-fixture.ts"

const session = randomBytes(16)

function frame(sequence: number, unanswered = 0, resent = false): SequencedFrame {
  return { session, sequence, unanswered, resent }
}

const batch = (key: string, value: string): Uint8Array =>
  encodeRecords([{ key: bytes(key), value: bytes(value) }])

/** Writes `key` as a frame. @returns "written", or the reason of the refusal */
async function send(
  engine: Engine,
  place: SequencedFrame,
  value: string,
  expected?: string,
): Promise<string> {
  try {
    const conditions = expected === undefined ? undefined : batch("k", expected)
    const { recordCount, pending } = engine.writeEncoded(batch("k", value), conditions, place)
    expect(recordCount).toBe(1)
    await pending
    return "written"
  } catch (error) {
    return (error as { reason: string }).reason
  }
}

const opens = { snapshot: openTiny, log: openDurable } as const
const each = engineNames.flatMap((name) =>
  (["snapshot", "log"] as const).map((durability) => [name, durability] as const),
)

test.each(each)("%s, %s: a frame that comes twice is applied once", async (name, durability) => {
  const engine = await opens[durability](name, simulatedSeams(1))
  expect(await send(engine, frame(1), "a")).toBe("written")
  expect(await send(engine, frame(2), "b")).toBe("written")
  expect(await send(engine, frame(1), "a")).toBe("written")
  expect(await read(engine, "k")).toBe("b")
  expect(await send(engine, frame(3), "c", "a")).toBe("CONDITION_FAILED")
  expect(await send(engine, frame(4), "c", "b")).toBe("written")
  expect(await send(engine, frame(3), "c", "b")).toBe("CONDITION_FAILED")
  expect(await send(engine, frame(4), "c", "b")).toBe("written")
  expect(await send(engine, frame(5), "x".repeat(3000))).toBe("VALUE_TOO_LARGE")
  expect(await send(engine, frame(5), "d")).toBe("FRAME_REFUSED")
  expect(await send(engine, frame(8, 1), "d")).toBe("FRAME_OUT_OF_ORDER")
  expect(await send(engine, frame(7), "d")).toBe("written")
  expect(await send(engine, frame(8, 1), "e")).toBe("written")
  expect(await send(engine, frame(6), "late")).toBe("FRAME_REFUSED")
  expect(await read(engine, "k")).toBe("e")
  await engine.close()
  expect(await send(engine, frame(9), "f")).toBe("ENGINE_CLOSED")
})

test("what is thrown before a frame is applied is remembered, and not asked for a frame that is known", async () => {
  const engine = await openTiny("memory", simulatedSeams(1))
  const full = (): never => {
    throw new RangeError("full")
  }
  expect(() => engine.writeEncoded(batch("k", "a"), undefined, { ...frame(1), admit: full })).toThrow("full")
  expect(await send(engine, frame(1), "a")).toBe("FRAME_REFUSED")
  expect(await send(engine, frame(2), "b")).toBe("written")
  expect(await send(engine, { ...frame(2), admit: full }, "b")).toBe("written")
  await engine.close()
})

test.each(each)(
  "%s, %s: stops, crashes, versions and replaced states know their own frames",
  async (name, durability) => {
    let seams = simulatedSeams(1)
    const open = async (): Promise<Engine> => opens[durability](name, seams)
    let engine = await open()
    expect(await send(engine, frame(1), "1")).toBe("written")
    await engine.snapshot({ version: 1 })
    expect(await send(engine, frame(2), "2")).toBe("written")
    await engine.close()
    engine = await open()
    await engine.set(bytes("k"), bytes("other"))
    for (const known of [2, 1]) expect(await send(engine, frame(known, 0, true), "again")).toBe("written")
    expect(await read(engine, "k")).toBe("other")
    const { replaced } = await engine.restore({ version: 1 })
    expect(await send(engine, frame(1, 0, true), "again")).toBe("written")
    expect(await read(engine, "k")).toBe("1")
    expect(await send(engine, frame(2, 0, true), "2")).toBe("written")
    expect(await read(engine, "k")).toBe("2")
    await engine.restore({ replaced })
    expect(await send(engine, frame(2, 0, true), "2")).toBe("written")
    expect(await read(engine, "k")).toBe("other")
    expect(await send(engine, frame(3), "3")).toBe("written")
    await engine.snapshot({ version: 2 })
    expect(await send(engine, frame(4), "4")).toBe("written")
    // Not closed: the machine stops.
    seams = durability === "log" ? afterPowerLoss(seams) : afterKill(seams)
    engine = await open()
    if (durability === "snapshot") await engine.restore({ newest: true })
    expect(await read(engine, "k")).toBe(durability === "log" ? "4" : "3")
    expect(await send(engine, frame(3, 0, true), "again")).toBe("written")
    expect(await send(engine, frame(4, 0, true), "4")).toBe("written")
    expect(await read(engine, "k")).toBe("4")
    await engine.restore({ empty: true })
    expect(await send(engine, frame(4, 0, true), "anew")).toBe("written")
    expect(await read(engine, "k")).toBe("anew")
    await engine.close()
  },
)

test("records that were written anew know no session, and say so", async () => {
  const seams = simulatedSeams(1)
  const first = await openTiny("memory", seams)
  expect(await send(first, frame(1), "1")).toBe("written")
  await first.snapshot({ version: 1 })
  await first.close()
  await seams.fileSystem.removeDirectory("/partition")
  const other = await openTiny("lsm-tree", seams)
  await other.restore({ version: 1 })
  expect(await send(other, frame(2, 1, true), "again")).toBe("SESSION_EXPIRED")
  expect(await send(other, frame(3), "2")).toBe("written")
  await other.close()
})

test("while it is not known what came of a frame, whoever sends it again waits with the first one", async () => {
  const durable = await openDurable("memory", simulatedSeams(1))
  const logged = durable.writeEncoded(batch("k", "a"), undefined, frame(1)).pending
  expect(logged).toBeInstanceOf(Promise)
  expect(durable.writeEncoded(batch("k", "a"), undefined, frame(1, 0, true)).pending).toBe(logged)
  await logged
  expect(durable.writeEncoded(batch("k", "a"), undefined, frame(1, 0, true)).pending).toBeUndefined()
  await durable.close()

  for (const [first, expected, outcome] of [
    [1, "a", "written"],
    [3, "b", "CONDITION_FAILED"],
  ] as const) {
    const cold = await openTiny("hybrid-log", simulatedSeams(1))
    await cold.set(bytes("k"), bytes("a"))
    await cool(cold)
    const { pending } = cold.writeEncoded(batch("k", "c"), batch("k", expected), frame(first))
    expect(pending).toBeInstanceOf(Promise)
    expect(cold.writeEncoded(batch("k", "c"), batch("k", expected), frame(first, 0, true)).pending).toBe(
      pending,
    )
    expect(await send(cold, frame(first + 1, 1), "d", outcome)).toBe("CONDITION_FAILED")
    expect(await send(cold, frame(first, 0, true), "c", expected)).toBe(outcome)
    expect(await read(cold, "k")).toBe(outcome === "written" ? "c" : "a")
    await cold.close()
  }
})

test("while a restore changes the state, a frame is asked for again, and then it is the next one", async () => {
  const engine = await openTiny("hybrid-log", simulatedSeams(1))
  await engine.snapshot({ version: 1 })
  let isOver = false
  const restoring = engine.restore({ version: 1 }).finally(() => {
    isOver = true
  })
  const outcomes: string[] = []
  let sequence = 1
  while (!isOver) {
    outcomes.push(await send(engine, frame(sequence), `${sequence}`))
    if (outcomes.at(-1) === "written") sequence++
    else expect(outcomes.at(-1)).toBe("RESTORE_IN_PROGRESS")
    await new Promise((resolve) => setImmediate(resolve))
  }
  await restoring
  expect(outcomes).toContain("RESTORE_IN_PROGRESS")
  expect(await send(engine, frame(sequence), "after")).toBe("written")
  expect(await read(engine, "k")).toBe("after")
  expect(await send(engine, frame(sequence, 0, true), "after")).toBe("written")
  await engine.close()
})
