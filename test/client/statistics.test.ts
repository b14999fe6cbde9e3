import { expect, test } from "vitest"
import { open, startMemoryDaemon } from "./pair.ts"
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
