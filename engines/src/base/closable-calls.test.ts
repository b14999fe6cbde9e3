// Something that can be closed while calls of it run.

import { expect, test } from "vitest"
import { ClosableCalls } from "./closable-calls.ts"

test("closable calls: a close waits for those that run, however they end, and refuses later ones", async () => {
  const calls = new ClosableCalls("the shop is closed")
  const ends: (() => void)[] = []
  const order: string[] = []
  const slow = calls.run(() => new Promise<void>((resolve) => ends.push(resolve)))
  const failing = calls.run(async () => {
    await new Promise<void>((resolve) => ends.push(resolve))
    throw new Error("it failed")
  })
  const failed = expect(failing).rejects.toThrow("it failed")
  const closed = calls.close().then(() => order.push("closed"))
  await expect(calls.run(async () => order.push("begun"))).rejects.toMatchObject({
    reason: "ENGINE_CLOSED",
    message: "the shop is closed",
  })
  for (const end of ends) {
    expect(order).toEqual([])
    end()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all([slow, failed, closed, calls.close()])
  expect(order).toEqual(["closed"])
})
