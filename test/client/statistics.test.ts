import { connect, type State } from "@varve/client"
import { afterEach, expect, test } from "vitest"
import { MemoryDaemon } from "./memory-daemon.ts"
import { turns } from "./turns.ts"

const closers: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

function connected(daemon: MemoryDaemon): State {
  const state = connect(daemon.address, { backoffFirstMs: 5, backoffMaxMs: 50 })
  closers.push(() => state.close())
  return state
}

async function startedDaemon(): Promise<MemoryDaemon> {
  const daemon = await MemoryDaemon.started({ partitionCount: 1 })
  closers.push(() => daemon.stop())
  return daemon
}

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
  const daemon = await startedDaemon()
  daemon.stop()
  const state = connected(daemon)
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
  const daemon = await startedDaemon()
  const state = connected(daemon)
  await state.set("a", "1")
  daemon.onFrame = () => "hold"
  const write = state.set("a", "2").catch((error: unknown) => error)
  await turns()
  await state.close()
  await write
  expect(state.statistics()).toEqual({ ...NOTHING, connectionsOpened: 1, framesSent: 2 })
})
