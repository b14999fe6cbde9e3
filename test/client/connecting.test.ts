// How a client comes by its daemon: what it is told at `connect`, and how long calls wait for a daemon that is not there.

import { connect, type State, VarveError } from "@varve/client"
import { expect, test } from "vitest"
import { open, pair } from "./pair.ts"
import { turns } from "./turns.ts"

test("client: options and addresses that make no sense are refused at connect", () => {
  for (const address of ["", "a b", "host:0", "host:70000", "a:b:7", "unix:"]) {
    expect(() => connect(address)).toThrow("address")
  }
  expect(() => connect("h", { store: "../x" })).toThrow("store name")
  expect(() => connect("h", { rollback: "maybe" as never })).toThrow("rollback")
  expect(() => connect("h", { deadlineMs: 1.5 })).toThrow("deadlineMs")
  expect(() => connect("h", { inflight: 1 } as never)).toThrow("inflight")
})

test("client: connect refuses what is no address and what are no options", () => {
  const loose = connect as (...given: unknown[]) => State
  const message = (...given: unknown[]): string => {
    try {
      loose(...given)
    } catch (error) {
      if (error instanceof VarveError && error.reason === "REQUEST_INVALID") return error.message
      throw error
    }
    return "nothing was refused"
  }
  expect(message()).toBe("the address undefined is not HOST, HOST:PORT or unix:PATH")
  expect(message(7400)).toContain("the address 7400 is not")
  expect(message("localhost", { stroe: "s" })).toContain(
    "connect has no option stroe; known: store, rollback",
  )
  expect(message("localhost", "orders")).toContain('not the string "orders"')
  expect(message("localhost", null)).toContain("not null")
  expect(message("localhost", { deadlineMs: "5" })).toContain('not the string "5"')
})

test("client: calls made before the daemon is there wait for it", async () => {
  const { daemon } = await pair({ partitionCount: 1 })
  daemon.stop()
  const early = open(daemon.address)
  const calls = [early.set("k", "v"), early.get("k")]
  const list = early.listSnapshots()
  await turns()
  await daemon.start()
  expect((await Promise.all(calls)).map(String)).toEqual(["undefined", "v"])
  expect(await list).toEqual([])
})

test("client: calls that find no daemon end at connectDeadlineMs, and say why", async () => {
  const { daemon } = await pair({ partitionCount: 1 })
  daemon.stop()
  const state = open(daemon.address, { connectDeadlineMs: 100 })
  const calls = [
    state.snapshot({ version: 1 }),
    state.restore(),
    state.describe(),
    state.scan().next(),
    state.deleteSnapshot({ version: 1 }),
  ]
  for (const settled of await Promise.allSettled(calls)) {
    expect(settled).toMatchObject({
      status: "rejected",
      reason: {
        reason: "DEADLINE_PASSED",
        message: expect.stringMatching(
          /^there was no connection within 100 ms \(connectDeadlineMs\); the call was not sent \(127.*ECONNREFUSED((?!Resolution note).)*; is the daemon running\? .* 7400 unless set otherwise\)$/,
        ),
      },
    })
  }
  await expect(state.restore({ deadlineMs: 30 })).rejects.toThrow(
    /^the deadline of 30 ms passed; the call was not sent \(/,
  )
})

test("client: a snapshot after the daemon went away ends at connectDeadlineMs too", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 }, { connectDeadlineMs: 400 })
  await state.set("k", "v")
  daemon.stop()
  await turns()
  await expect(state.snapshot({ version: 1 })).rejects.toThrow(
    /there was no connection within 400 ms .*; the call was not sent \(127.*ECONNREFUSED/,
  )
  await daemon.start()
  expect((await state.snapshot({ version: 1 })).version).toBe(1)
})
