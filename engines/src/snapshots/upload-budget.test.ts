// What may begin when, on a clock that stands still between sleeps.

import { describe, expect, test } from "vitest"
import { isEngineError } from "../base/error.ts"
import { MERGE_UPLOAD_BYTES_PER_SECOND_MAX, UploadBudget } from "./upload-budget.ts"

/** Sleeps end when the test says so, or when they are aborted. */
class TestClock {
  nowMs = 1000
  readonly sleeps: { ms: number; end: () => void }[] = []

  monotonicMs(): number {
    return this.nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.sleeps.push({ ms, end: resolve })
      signal?.addEventListener("abort", () => resolve())
    })
  }
}

const never = new AbortController().signal

function budgetOf(bytesPerSecond: number): { clock: TestClock; budget: UploadBudget } {
  const clock = new TestClock()
  return { clock, budget: new UploadBudget(clock, bytesPerSecond) }
}

describe("upload budget", () => {
  test("each pack begins when those before it are paid for, whoever asks", async () => {
    const { clock, budget } = budgetOf(1000)
    await budget.grant(500, never)
    const second = budget.grant(2000, never)
    const third = budget.grant(1, never)
    expect(clock.sleeps.map(({ ms }) => ms)).toEqual([500, 2500])
    for (const { end } of clock.sleeps) end()
    await Promise.all([second, third])
  })

  test("nothing is saved up", async () => {
    const { clock, budget } = budgetOf(1000)
    clock.nowMs += 1_000_000
    await budget.grant(100, never)
    void budget.grant(100, never)
    expect(clock.sleeps.map(({ ms }) => ms)).toEqual([100])
  })

  test("who is in a hurry waits for nothing and owes nothing", async () => {
    const { clock, budget } = budgetOf(1000)
    await budget.grant(4000, never)
    const hurry = new AbortController()
    const hurried = budget.grant(90_000, hurry.signal)
    hurry.abort()
    await hurried
    await budget.grant(50_000, hurry.signal)
    void budget.grant(1, never)
    expect(clock.sleeps.map(({ ms }) => ms)).toEqual([4000, 4000])
  })

  test("0 is no limit", async () => {
    const { clock, budget } = budgetOf(0)
    for (let i = 0; i < 100; i++) await budget.grant(1e9, never)
    expect(clock.sleeps).toEqual([])
  })

  test("packs are as long as a second pays for, within bounds", () => {
    const sizes = [0, 1, 1_000_000, 1e12].map((bytes) => budgetOf(bytes).budget.packBytesMax)
    expect(sizes).toEqual([8 * 1024 * 1024, 256 * 1024, 1_000_000, 8 * 1024 * 1024])
  })

  test.each([-1, 0.5, Number.NaN, MERGE_UPLOAD_BYTES_PER_SECOND_MAX + 1])("%d is refused", (bytes) => {
    try {
      budgetOf(bytes)
      expect.unreachable()
    } catch (error) {
      expect(isEngineError(error, "SETTING_INVALID")).toBe(true)
    }
  })
})
