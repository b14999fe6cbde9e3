// The calls that a simulated disk gets, one step each: counts them, delays them, fails the chosen ones, and
// stops the machine at the chosen step.
//
//   call ── step counted ──┬── crash here? ── half of the effect, perhaps ── SimulatedCrash, now and for ever
//                          ├── fault here? ── its effect ── EngineError
//                          └── a few turns of the microtask queue ── the effect ── result
//
// What is left of a call in which the machine stops can also be had on a copy of the disk, while this one goes on.
//
// The turns make calls that overlap take effect in another order than they were made, as on a real disk.

import { EngineError } from "@varve/engines/internal"
import { SimulatedCrash } from "./simulated-crash.ts"
import type { SimulatedFileContent } from "./simulated-file-content.ts"
import type { SimulatedRandom } from "./simulated-random.ts"
import type { SimulatedSpace } from "./simulated-space.ts"
import type { SimulatedTree } from "./simulated-tree.ts"

export type CallKind =
  | "open"
  | "read"
  | "write"
  | "sync"
  | "truncate"
  | "size"
  | "close"
  | "rename"
  | "link"
  | "remove"
  | "removeDirectory"
  | "makeDirectory"
  | "list"
  | "status"
  | "syncDirectory"
  | "lock"
  | "unlock"

/** What a call is left half done on when the machine stops: the disk itself, or a copy of it. */
export interface StoppedDisk {
  readonly tree: SimulatedTree
  readonly space: SimulatedSpace
  readonly random: SimulatedRandom
  /** The file there that is this one here. */
  readonly contentOf: (content: SimulatedFileContent) => SimulatedFileContent
}

/** One call: what it does, and what is left of it when it fails or the machine stops in the middle. */
export interface SimulatedCall<Result> {
  readonly kind: CallKind
  /** For people: the path, and the range of bytes where there is one. */
  readonly about: string
  readonly effect: () => Result
  /** The part that happens when the machine stops in this call; without it the call changes nothing. */
  readonly atCrash?: (disk: StoppedDisk) => void
  /** The part that happens when this call is made to fail. */
  readonly atFault?: () => void
}

/** Steps that `trace` remembers. */
const TRACE_STEPS_MAX = 200
const DELAY_TURNS_MAX = 3

interface Fault {
  readonly kind: CallKind
  remaining: number
}

export class SimulatedCalls {
  /** Hears of every call, in the words of `trace`. */
  onCall: ((words: string) => void) | undefined
  /** Hears of every call that changes the disk before it does, with what a crash in it would leave. */
  onChange: ((atCrash: (disk: StoppedDisk) => void) => void) | undefined
  readonly #random: SimulatedRandom
  readonly #disk: StoppedDisk
  readonly #trace: string[] = []
  #faults: Fault[] = []
  #steps = 0
  #crashStep = Number.POSITIVE_INFINITY
  #crash: SimulatedCrash | undefined

  /** @param disk the one that gets these calls */
  constructor(disk: StoppedDisk) {
    this.#disk = disk
    this.#random = disk.random
  }

  /** Calls so far. */
  get steps(): number {
    return this.#steps
  }

  get isCrashed(): boolean {
    return this.#crash !== undefined
  }

  /** The last steps, oldest first: `17 write /data/x [0, 512)`. */
  get trace(): readonly string[] {
    return this.#trace
  }

  /** Stops the machine at step `step`, counted from 1: that call and all later ones reject. */
  crashAt(step: number): void {
    this.#crashStep = step
  }

  /** Stops the machine now, between two calls. */
  crashNow(): void {
    this.#crash ??= new SimulatedCrash(`the simulated machine was stopped after step ${this.#steps}`)
  }

  /** Makes the `nth` call of `kind` from now on fail, counted from 1. */
  failNth(kind: CallKind, nth: number): void {
    this.#faults.push({ kind, remaining: nth })
  }

  /** Whether every call that was to fail has failed. */
  get wasFaultMet(): boolean {
    return this.#faults.length === 0
  }

  forgetFaults(): void {
    this.#faults = []
  }

  async run<Result>(call: SimulatedCall<Result>): Promise<Result> {
    this.#throwIfCrashed()
    const step = ++this.#steps
    const words = `${step} ${call.kind} ${call.about}`
    this.#trace.push(words)
    this.onCall?.(words)
    if (this.#trace.length > TRACE_STEPS_MAX) this.#trace.shift()
    if (step >= this.#crashStep) {
      this.#crash = new SimulatedCrash(`the simulated machine stopped at step ${words}`)
      call.atCrash?.(this.#disk)
      throw this.#crash
    }
    if (call.atCrash !== undefined) this.onChange?.(call.atCrash)
    if (this.#isFaulty(call.kind)) {
      call.atFault?.()
      throw new EngineError("STORAGE_FAILED", `simulated fault at step ${words}`)
    }
    for (let turns = this.#random.integer(DELAY_TURNS_MAX + 1); turns > 0; turns--) await Promise.resolve()
    this.#throwIfCrashed()
    return call.effect()
  }

  #throwIfCrashed(): void {
    if (this.#crash !== undefined) throw this.#crash
  }

  #isFaulty(kind: CallKind): boolean {
    let isFaulty = false
    for (const fault of this.#faults) {
      if (fault.kind === kind && --fault.remaining === 0) isFaulty = true
    }
    this.#faults = this.#faults.filter((fault) => fault.remaining > 0)
    return isFaulty
  }
}
