// Loading slice by slice: turns of the event loop come when a test says so.

import type { Engine, EngineName } from "@varve/engines"
import type { Clock, Seams } from "@varve/engines/internal"
import { openTiny } from "./engine-fixture.ts"

/** A clock that gives another turn of the event loop when it is told to. */
export class TurnGate implements Clock {
  readonly #inner: Clock
  readonly #waiting: (() => void)[] = []
  isOpen = false

  constructor(inner: Clock) {
    this.#inner = inner
  }

  get waitingCount(): number {
    return this.#waiting.length
  }

  /** Those who wait have their turn. */
  letOn(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  open(): void {
    this.isOpen = true
    this.letOn()
  }

  nowMs(): number {
    return this.#inner.nowMs()
  }

  monotonicMs(): number {
    return this.#inner.monotonicMs()
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#inner.sleep(ms, signal)
  }

  async nextTurn(): Promise<void> {
    if (!this.isOpen) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    await this.#inner.nextTurn()
  }
}

/** An engine that has been opened, and whose next turns come when the gate gives them. */
export async function openLoading(
  name: EngineName,
  seams: Seams,
  onWarning?: (message: string) => void,
): Promise<{ readonly engine: Engine; readonly gate: TurnGate }> {
  const gate = new TurnGate(seams.clock)
  gate.isOpen = true
  const engine = await openTiny(name, { ...seams, clock: gate }, undefined, undefined, onWarning)
  gate.isOpen = false
  return { engine, gate }
}
