// One object store that several machines reach, each through a door of its own, which fails as networks do.
//
//   machine ── door ── shut? hangs for ever ── asleep? waits ── request lost? ── effect ── answer lost? ── result
//
// A listing takes effect in two parts, in the order of keys: stores do not list at one moment.

import { EngineError, type ObjectStore, type ObjectSummary } from "@varve/engines/internal"
import type { SimulatedRandom } from "../simulation/index.ts"

interface StoredObject {
  readonly bytes: Uint8Array
  readonly modifiedMs: number
}

export class Bucket {
  readonly objects = new Map<string, StoredObject>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  create(key: string, parts: readonly Uint8Array[]): boolean {
    if (this.objects.has(key)) return false
    this.objects.set(key, { bytes: Buffer.concat(parts), modifiedMs: this.#nowMs() })
    return true
  }

  list(prefix: string, isPart: (key: string) => boolean): ObjectSummary[] {
    return [...this.objects]
      .filter(([key]) => key.startsWith(prefix) && isPart(key))
      .map(([key, { bytes, modifiedMs }]) => ({ key, bytes: bytes.length, modifiedMs }))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
  }
}

/** Calls that wait on a door that sleeps. */
type Sleeper = () => void

export class Door implements ObjectStore {
  readonly url = "file:/bucket"
  /** Every call fails, before or after its effect. */
  isDown = false
  /** One call in so many fails; 0: none. */
  failsOneIn = 0
  /** What took effect, newest last. */
  readonly trace: string[] = []
  readonly #bucket: Bucket
  readonly #random: SimulatedRandom
  readonly #isShut: () => boolean
  #sleepers: Sleeper[] | undefined
  #callsUntilSleep = Number.POSITIVE_INFINITY
  #callsUntilEnd = Number.POSITIVE_INFINITY

  /** @param isShut whether the machine is gone: nothing is answered any more, and what comes later has no effect */
  constructor(bucket: Bucket, random: SimulatedRandom, isShut: () => boolean = () => false) {
    this.#bucket = bucket
    this.#random = random
    this.#isShut = isShut
  }

  /** Whether the machine is to stop: the call that it was to stop in has come. */
  get isOver(): boolean {
    return this.#callsUntilEnd <= 0
  }

  get isAsleep(): boolean {
    return this.#sleepers !== undefined
  }

  /** From the `calls`th call on every call waits until `wake`; 0: from now on. */
  sleepAfter(calls: number): void {
    this.#callsUntilSleep = calls
    if (calls === 0) this.#sleepers ??= []
  }

  /** The machine stops in the `calls`th call from now on, before its effect or after it. */
  endAfter(calls: number): void {
    this.#callsUntilEnd = calls
  }

  wake(): void {
    this.#callsUntilSleep = Number.POSITIVE_INFINITY
    const sleepers = this.#sleepers ?? []
    this.#sleepers = undefined
    for (const wake of sleepers) wake()
  }

  get(key: string, range?: { offset: number; bytes: number }): Promise<Uint8Array | undefined> {
    const end = range === undefined ? undefined : range.offset + range.bytes
    return this.#call(`get ${key}`, () => this.#bucket.objects.get(key)?.bytes.slice(range?.offset ?? 0, end))
  }

  create(key: string, parts: readonly Uint8Array[]): Promise<boolean> {
    return this.#call(`create ${key}`, () => this.#bucket.create(key, parts))
  }

  async list(prefix: string): Promise<ObjectSummary[]> {
    const keys = [...this.#bucket.objects.keys()].filter((key) => key.startsWith(prefix)).sort()
    const border = keys[this.#random.integer(keys.length + 1)]
    const isFirst = (key: string): boolean => border === undefined || key < border
    const first = await this.#call(`list ${prefix}`, () => this.#bucket.list(prefix, isFirst))
    await this.#wait()
    return [...first, ...this.#bucket.list(prefix, (key) => !isFirst(key))]
  }

  remove(key: string): Promise<void> {
    return this.#call(`remove ${key}`, () => void this.#bucket.objects.delete(key))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #call<Result>(what: string, effect: () => Result): Promise<Result> {
    if (--this.#callsUntilSleep <= 0) this.#sleepers ??= []
    await this.#wait()
    const ends = --this.#callsUntilEnd <= 0
    const fails = this.isDown || (this.failsOneIn > 0 && this.#random.oneIn(this.failsOneIn))
    const isRequestLost = (fails || ends) && this.#random.oneIn(2)
    // An outage loses requests; only a few answers: nothing could be done that way.
    if (isRequestLost || this.isDown) await this.#fail(what, ends)
    const result = effect()
    this.trace.push(`${what}${result === false ? ": exists" : ""}`)
    if (this.trace.length > 200) this.trace.shift()
    if (fails || ends) await this.#fail(what, ends)
    await this.#wait()
    return result
  }

  async #fail(what: string, ends: boolean): Promise<never> {
    if (ends) await new Promise(() => undefined)
    await this.#wait()
    this.trace.push(`${what}: failed`)
    throw new EngineError("REPOSITORY_FAILED", `${what}: the simulated network lost it`)
  }

  /** Some turns; as long as the machine sleeps; for ever when it is gone. */
  async #wait(): Promise<void> {
    for (let turns = this.#random.integer(3); turns > 0; turns--) await Promise.resolve()
    if (this.#random.oneIn(8)) await new Promise((resolve) => setImmediate(resolve))
    while (this.#sleepers !== undefined) {
      const { promise, wake } = sleeper()
      this.#sleepers.push(wake)
      await promise
    }
    if (this.#isShut() || this.isOver) await new Promise(() => undefined)
  }
}

function sleeper(): { readonly promise: Promise<void>; readonly wake: Sleeper } {
  let wake: Sleeper = () => undefined
  const promise = new Promise<void>((resolve) => {
    wake = resolve
  })
  return { promise, wake }
}
