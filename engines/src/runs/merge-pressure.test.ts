import { describe, expect, test } from "vitest"
import { MergePressure } from "./merge-pressure.ts"

const MAX_RUNS = 4
const SOFT = 8
const HARD = 16
const WRITE_BYTES = 64 * 1024

/** Time that moves when somebody sleeps. */
class SleepClock {
  now = 0
  monotonicMs(): number {
    return this.now
  }
  async sleep(ms: number): Promise<void> {
    await Promise.resolve()
    this.now += ms
  }
}

function makePressure(): { clock: SleepClock; pressure: MergePressure } {
  const clock = new SleepClock()
  return { clock, pressure: new MergePressure({ clock, maxRunsPerLevel: MAX_RUNS }) }
}

/** Milliseconds that a writer needs who waits when told to. */
async function msFor(clock: SleepClock, pressure: MergePressure, writes: number): Promise<number> {
  const before = clock.now
  for (let i = 0; i < writes; i++) await pressure.of(WRITE_BYTES)
  return clock.now - before
}

async function isPending(promise: Promise<void> | undefined): Promise<boolean> {
  let isDone = false
  void promise?.then(() => {
    isDone = true
  })
  for (let i = 0; i < 5; i++) await Promise.resolve()
  return promise !== undefined && !isDone
}

describe("merge pressure", () => {
  test("writers are slowed run by run, and at full speed again when merges have caught up", async () => {
    const { clock, pressure } = makePressure()
    pressure.levels([SOFT, 1])
    expect(await msFor(clock, pressure, 100)).toBe(0)
    let before = 0
    for (let runs = SOFT + 1; runs < HARD; runs++) {
      pressure.levels([0, runs])
      const ms = await msFor(clock, pressure, 100)
      expect(ms, `${runs} runs`).toBeGreaterThan(before)
      before = ms
    }
    expect(before).toBeGreaterThan(4 * 195)
    pressure.levels([SOFT])
    expect(await msFor(clock, pressure, 100)).toBe(0)
  })

  test("the rate is 32 MiB a second at the soft limit, less by the same part with every run", async () => {
    const { clock, pressure } = makePressure()
    pressure.levels([SOFT + 4])
    const mib = 16
    const ms = await msFor(clock, pressure, (mib * 1024 * 1024) / WRITE_BYTES)
    expect(ms).toBeGreaterThan(950)
    expect(ms).toBeLessThan(1050)
  })

  test("at the hard limit writers wait until a level has shrunk", async () => {
    const { pressure } = makePressure()
    pressure.levels([HARD])
    const waiting = pressure.of(1)
    expect(await isPending(waiting)).toBe(true)
    pressure.levels([HARD - 1])
    await waiting
    expect(pressure.stallCount).toBe(1)
  })

  test("nobody waits for a merge that has failed", async () => {
    const { pressure } = makePressure()
    pressure.levels([HARD])
    const waiting = pressure.of(1)
    pressure.failing(true)
    await waiting
    await pressure.of(WRITE_BYTES)
    pressure.failing(false)
    expect(await isPending(pressure.of(1))).toBe(true)
  })

  test("closing lets everybody go", async () => {
    const { pressure } = makePressure()
    pressure.levels([HARD])
    const waiting = pressure.of(1)
    pressure.close()
    await waiting
    expect(pressure.of(WRITE_BYTES)).toBeUndefined()
  })

  test("the time that writers waited is counted once, however many waited", async () => {
    const { clock, pressure } = makePressure()
    pressure.levels([HARD])
    const waiting = [pressure.of(1), pressure.of(1), pressure.of(1)]
    clock.now += 70
    pressure.levels([0])
    await Promise.all(waiting)
    expect(pressure.stallCount).toBe(3)
    expect(pressure.stalledMs).toBe(70)
  })

  test("time in which some are slowed and others stopped is counted once", async () => {
    const { clock, pressure } = makePressure()
    pressure.levels([HARD - 1])
    const slowed = pressure.of(10 * WRITE_BYTES)
    pressure.levels([HARD])
    const stopped = pressure.of(1)
    await slowed
    const sleptMs = clock.now
    expect(sleptMs).toBeGreaterThan(1)
    clock.now += 5
    pressure.levels([0])
    await stopped
    expect(pressure.stalledMs).toBe(sleptMs + 5)
  })
})
