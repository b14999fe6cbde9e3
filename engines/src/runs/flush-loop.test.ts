import { describe, expect, it } from "vitest"
import { EngineError } from "../base/error.ts"
import { FlushLoop, type FlushWork } from "./flush-loop.ts"
import type { OpenRun } from "./open-run.ts"
import type { RunFigures } from "./run.ts"

const FULL = new EngineError("STORAGE_FULL", "no space left")
const BROKEN = new EngineError("STORAGE_FAILED", "sync failed")
const RUN_BYTES = 7
const TURNS_MAX = 1000

/** Time stands still until `wake`. */
class StoppedClock {
  #sleepers: (() => void)[] = []
  nowMs = (): number => 0
  monotonicMs = (): number => 0
  turnCount = 0

  nextTurn(): Promise<void> {
    this.turnCount++
    return new Promise((resolve) => setImmediate(resolve))
  }

  get isAsleep(): boolean {
    return this.#sleepers.length > 0
  }

  sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve()
      this.#sleepers.push(resolve)
      signal?.addEventListener("abort", () => resolve())
    })
  }

  wake(): void {
    for (const resolve of this.#sleepers.splice(0)) resolve()
  }
}

/** Bytes under ascending addresses: due from 10 on, too many above 20. What is flushed is a list of borders. */
class Bytes implements FlushWork<number> {
  tail = 0
  flushed = 0
  /** Borders of the runs of the state, as if they were runs. */
  readonly borders: number[] = []
  /** What the next attempts meet; success when empty. */
  readonly errors: unknown[] = []
  attemptCount = 0
  /** No flush from this attempt on ends before it. */
  gate: Promise<void> | undefined
  gatedAttempt = 1
  isFlushing = false
  isClosed = false

  isDue(): boolean {
    return this.tail - this.flushed >= 10
  }

  isBehind(): boolean {
    return this.tail - this.flushed > 20
  }

  sealed(): void {
    // Nothing to do.
  }

  next(sealedAt: number | undefined): number | undefined {
    return sealedAt ?? (this.isDue() ? this.tail : undefined)
  }

  async flush(end: number): Promise<RunFigures | undefined> {
    this.attemptCount++
    this.isFlushing = true
    if (this.attemptCount >= this.gatedAttempt) await this.gate
    this.isFlushing = false
    if (this.errors.length > 0) throw this.errors.shift()
    this.flushed = end
    this.borders.push(end)
    return { bytes: RUN_BYTES } as RunFigures
  }

  async close(): Promise<void> {
    expect(this.isFlushing, "closed while a flush is under way").toBe(false)
    this.isClosed = true
  }
}

function open() {
  const clock = new StoppedClock()
  const work = new Bytes()
  const poisoned: unknown[] = []
  const retainAll = (): readonly OpenRun[] => [...work.borders] as unknown as OpenRun[]
  const loop = new FlushLoop({ clock, runs: { retainAll }, poison: (error) => poisoned.push(error) }, work)
  return { clock, work, loop, poisoned }
}

/** Awaits a condition of the loop, which moves by turns alone. */
async function until(what: string, condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn === TURNS_MAX) throw new Error(`not after ${TURNS_MAX} turns: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function gate(): { readonly promise: Promise<void>; readonly lift: () => void } {
  let lift = (): void => undefined
  const promise = new Promise<void>((resolve) => {
    lift = resolve
  })
  return { promise, lift }
}

/** What became of a promise, in the order in which it became known. */
function note(list: unknown[], promise: Promise<unknown>): void {
  promise.then(
    (value) => list.push(value),
    (error: EngineError) => list.push(error.reason),
  )
}

describe("flush loop", () => {
  it("what is due is flushed without a seal, all of one turn together; less is not", async () => {
    const { clock, work, loop } = open()
    work.tail = 9
    loop.request()
    expect(clock.turnCount).toBe(0)
    work.tail = 12
    loop.request()
    work.tail = 15
    await until("flushed", () => work.flushed === 15)
    await loop.close()
    expect(work.borders).toEqual([15])
    expect([loop.flushCount, loop.bytesFlushed]).toEqual([1, RUN_BYTES])
  })

  it("seals are answered in their order, each with the runs of its moment and none above it", async () => {
    const { work, loop } = open()
    const answers: unknown[] = []
    for (const at of [5, 8, 8, 11]) {
      work.tail = at
      note(answers, loop.flush({ at }))
    }
    work.tail = 30
    loop.request()
    await until("the bytes above the seals are flushed", () => work.flushed === 30)
    expect(answers).toEqual([[5], [5, 8], [5, 8], [5, 8, 11]])
    expect(work.borders).toEqual([5, 8, 11, 30])
    await loop.close()
  })

  it("a seal below which everything is on disk is answered without a flush", async () => {
    const { work, loop } = open()
    expect(await loop.flush({ at: 0 })).toEqual([])
    expect(work.attemptCount).toBe(0)
    await loop.close()
  })

  it("writers wait while the disk is behind, also when a seal asks for a small part", async () => {
    const { work, loop } = open()
    const { promise, lift } = gate()
    work.gate = promise
    work.tail = 20
    loop.request()
    expect(loop.pressure()).toBeUndefined()
    note([], loop.flush({ at: 2 }))
    work.tail = 40
    const flushedAtRelease: unknown[] = []
    note(
      flushedAtRelease,
      loop.pressure()!.then(() => work.flushed),
    )
    lift()
    await until("flushed", () => work.flushed === 40)
    await until("writers go on", () => flushedAtRelease.length > 0)
    expect(work.borders).toEqual([2, 40])
    expect(flushedAtRelease).toEqual([40])
    expect(loop.pressure()).toBeUndefined()
    await loop.close()
  })

  it("writers go on as soon as the disk has caught up, while the next flush is under way", async () => {
    const { work, loop } = open()
    const { promise, lift } = gate()
    work.gate = promise
    work.gatedAttempt = 2
    const answers: unknown[] = []
    work.tail = 30
    note([], loop.flush({ at: 30 }))
    note(
      answers,
      loop.pressure()!.then(() => "writers go on"),
    )
    work.tail = 45
    note([], loop.flush({ at: 45 }))
    await until("answered", () => answers.length === 1)
    expect([work.flushed, work.attemptCount]).toEqual([30, 2])
    lift()
    await loop.close()
  })

  it("a full disk refuses seals and lets writers go on; it is tried again and heals", async () => {
    const { clock, work, loop, poisoned } = open()
    const answers: unknown[] = []
    work.errors.push(FULL, FULL)
    work.tail = 30
    note(answers, loop.flush({ at: 30 }))
    note(
      answers,
      loop.pressure()!.then(() => "writers go on"),
    )
    await until("asleep", () => clock.isAsleep)
    expect(answers).toEqual(["STORAGE_FULL", "writers go on"])
    expect(loop.full).toBe(FULL)
    expect(loop.pressure()).toBeUndefined()
    clock.wake()
    await until("asleep again", () => clock.isAsleep)
    note(answers, loop.flush({ at: 30 }))
    clock.wake()
    await until("healed", () => loop.full === undefined)
    await until("answered", () => answers.length === 3)
    expect(answers[2]).toEqual([30])
    expect(work.attemptCount).toBe(3)
    expect([loop.flushCount, poisoned.length]).toEqual([1, 0])
    await loop.close()
  })

  it("a full disk with nothing due any more is left alone until the next write", async () => {
    const { clock, work, loop } = open()
    work.errors.push(FULL)
    work.tail = 3
    await expect(loop.flush({ at: 3 })).rejects.toBe(FULL)
    clock.wake()
    work.tail = 12
    await until("flushed", () => {
      loop.request()
      return work.flushed === 12
    })
    expect(loop.full).toBeUndefined()
    await loop.close()
  })

  it("after any other failure nothing is flushed any more, and everybody hears of it", async () => {
    const { work, loop, poisoned } = open()
    const answers: unknown[] = []
    work.errors.push(BROKEN)
    work.tail = 30
    note(answers, loop.flush({ at: 20 }))
    note(answers, loop.flush({ at: 30 }))
    note(
      answers,
      loop.pressure()!.then(() => "writers go on"),
    )
    await until("poisoned", () => poisoned.length > 0)
    await until("answered", () => answers.length === 3)
    expect(answers.sort()).toEqual(["STORAGE_FAILED", "STORAGE_FAILED", "writers go on"])
    expect(poisoned).toEqual([BROKEN])
    expect(loop.pressure()).toBeUndefined()
    loop.request()
    await expect(loop.flush({ at: 30 })).rejects.toBe(BROKEN)
    await loop.close()
    expect(work.attemptCount).toBe(1)
    expect(poisoned).toEqual([BROKEN])
  })

  it("close waits for the flush that is under way, and refuses the seals behind it", async () => {
    const { work, loop } = open()
    const answers: unknown[] = []
    const { promise, lift } = gate()
    work.gate = promise
    work.tail = 10
    note(answers, loop.flush({ at: 5 }))
    note(answers, loop.flush({ at: 10 }))
    await until("flushing", () => work.isFlushing)
    const closed = loop.close()
    await new Promise((resolve) => setImmediate(resolve))
    expect(work.isClosed).toBe(false)
    lift()
    await closed
    expect(work.isClosed).toBe(true)
    expect(work.borders).toEqual([5])
    expect(answers).toEqual(["ENGINE_CLOSED", "ENGINE_CLOSED"])
    await expect(loop.flush({ at: 10 })).rejects.toThrow("closed")
  })

  it("close does not wait for a full disk", async () => {
    const { clock, work, loop } = open()
    const answers: unknown[] = []
    work.errors.push(FULL)
    work.tail = 30
    loop.request()
    await until("asleep", () => clock.isAsleep)
    note(answers, loop.flush({ at: 30 }))
    await loop.close()
    expect(answers).toEqual(["ENGINE_CLOSED"])
    expect(work.attemptCount).toBe(1)
  })
})
