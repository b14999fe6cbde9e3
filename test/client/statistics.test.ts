import { expect, test } from "vitest"
import { open, pair, startMemoryDaemon } from "./pair.ts"
import { reasonOf } from "./reason-of.ts"
import { turns } from "./turns.ts"

const NOTHING = {
  callsWaiting: 0,
  inflightBytes: 0,
  inflightFrames: 0,
  connectionsOpen: 0,
  connectionsOpened: 0,
  connectionsLost: 0,
  framesSent: 0,
  framesSentAgain: 0,
}

test("client: statistics tell what waits, what is on its way, and what was sent", async () => {
  const daemon = await startMemoryDaemon({ partitionCount: 1 })
  daemon.stop()
  const state = open(daemon.address)
  expect(state.statistics()).toEqual(NOTHING)
  const calls = [state.set("a", "1"), state.get("a")]
  await turns()
  expect(state.statistics()).toEqual({ ...NOTHING, callsWaiting: 2 })
  await daemon.start()
  await Promise.all(calls)
  const quiet = { ...NOTHING, connectionsOpen: 1, connectionsOpened: 1, framesSent: 1 }
  expect(state.statistics()).toEqual(quiet)

  const arrived = new Promise<void>((resolve) => {
    daemon.onFrame = () => {
      resolve()
      return "hold"
    }
  })
  const write = state.set("key", "value")
  await arrived
  const held = state.statistics()
  expect(held).toEqual({ ...quiet, inflightBytes: held.inflightBytes, inflightFrames: 1, framesSent: 2 })
  expect(held.inflightBytes).toBeGreaterThanOrEqual("keyvalue".length)
  daemon.onFrame = () => "answer"
  await daemon.restart()
  await write
  expect(state.statistics()).toEqual({
    ...quiet,
    connectionsOpened: 2,
    connectionsLost: 1,
    framesSent: 3,
    framesSentAgain: 1,
  })
})

test("client: statistics of a closed client have nothing on its way, and no connection that was lost", async () => {
  const daemon = await startMemoryDaemon({ partitionCount: 1 })
  const state = open(daemon.address)
  await state.set("a", "1")
  daemon.onFrame = () => "hold"
  const write = state.set("a", "2").catch((error: unknown) => error)
  await turns()
  await state.close()
  await write
  expect(state.statistics()).toEqual({ ...NOTHING, connectionsOpened: 1, framesSent: 2 })
})

test("client: calls that passed their deadlines no longer wait, also in a frame with one that has time", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 }, { inflightBytesMax: 100 })
  await state.set("a", "1")
  daemon.onFrame = () => "hold"
  const first = state.set("first", Buffer.alloc(100))
  await turns()
  const passed = Array.from({ length: 40 }, (_, i) =>
    reasonOf(state.set(`k${i}`, Buffer.alloc(50), { deadlineMs: 1 })),
  )
  const patient = state.set("patient", "1")
  expect(state.statistics().callsWaiting).toBe(41)
  expect(new Set(await Promise.all(passed))).toEqual(new Set(["DEADLINE_PASSED"]))
  expect(state.statistics()).toMatchObject({ callsWaiting: 1, inflightFrames: 2 })
  daemon.onFrame = () => "answer"
  await daemon.restart()
  await Promise.all([first, patient])
  expect(state.statistics()).toMatchObject({ callsWaiting: 0, inflightBytes: 0, inflightFrames: 0 })
  expect(await state.get("k0")).toBe(undefined)
})

test("client: as many frames may wait as calls, and a close ends them all", async () => {
  const { daemon, state } = await pair(
    { partitionCount: 1 },
    { inflightBytesMax: 1, waitingCallsMax: 200_000 },
  )
  await state.set("a", "1")
  daemon.onFrame = () => "hold"
  // More than one call of a function takes arguments.
  const count = 150_000
  const calls = Array.from({ length: count }, (_, i) => state.set("key", String(i)))
  await turns()
  expect(state.statistics()).toMatchObject({ callsWaiting: count - 1, inflightFrames: count })
  const ended = Promise.allSettled(calls)
  await state.close()
  const messages = (await ended).map((each) => (each.status === "rejected" ? String(each.reason) : "done"))
  expect(messages.filter((message) => message.endsWith("the call was not sent")).length).toBe(count - 1)
  expect(messages[0]).toContain("may or may not have been applied")
  expect(state.statistics()).toMatchObject({ callsWaiting: 0, inflightBytes: 0, inflightFrames: 0 })
})
