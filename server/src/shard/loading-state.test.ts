import { expect, test } from "vitest"
import { hasFailedToLoad, loadingEnds, loadNoted, newLoadingState, noteDeath } from "./loading-state.ts"

/** Longer than any machine takes: the tests do not wait for it. */
const LONG_MS = 60_000

test("loading state: who waits goes on when the modules are there, and not before", async () => {
  const state = newLoadingState()
  const order: string[] = []
  const waiting = loadingEnds(state, LONG_MS).then(() => order.push("goes on"))
  const module = await loadNoted(state, async () => {
    await loadingEnds(state, 1)
    order.push("loaded")
    return "module"
  })
  await waiting
  expect(module).toBe("module")
  expect(order).toEqual(["loaded", "goes on"])
  noteDeath(state)
  expect(hasFailedToLoad(state)).toBe(false)
  await loadingEnds(state, LONG_MS)
})

test("loading state: nobody waits for a thread whose modules cannot be loaded", async () => {
  const state = newLoadingState()
  const waiting = loadingEnds(state, LONG_MS)
  const failure = new Error("for the test")
  await expect(loadNoted(state, () => Promise.reject(failure))).rejects.toBe(failure)
  await waiting
  expect(hasFailedToLoad(state)).toBe(true)
})

test("loading state: nobody waits for a thread that died while it was loading", async () => {
  const state = newLoadingState()
  const waiting = loadingEnds(state, LONG_MS)
  noteDeath(state)
  await waiting
  expect(hasFailedToLoad(state)).toBe(true)
})
