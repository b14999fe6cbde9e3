// One object store that several users reach through doors of their own, with the order of everything in a test's hands.
//
//   user ── door ── call ──► waits ── step() ──► takes effect ── step() ──► is answered
//
// Between its effect and its answer a call waits again, so a user acts on what may no longer be so. A listing takes
// effect in two steps, keys up to a random one first: stores do not list at one moment. A door that is shut answers
// nothing any more; what had not taken effect never does.

import type { ObjectStore, ObjectSummary } from "@varve/engines/internal"
import type { SimulatedRandom } from "./simulated-random.ts"

export class SteppedObjectStore {
  readonly objects = new Map<string, Uint8Array>()
  /** What took effect, newest last: to see how a seed failed. */
  readonly trace: string[] = []
  readonly #random: SimulatedRandom
  readonly #waiting: { readonly door: string; readonly go: () => void }[] = []
  #lastDoor = ""

  constructor(random: SimulatedRandom) {
    this.#random = random
  }

  /** Lets one call go on, more often than not one of the user that went on last. False when none waits. */
  async step(): Promise<boolean> {
    // What the last step set free comes to its next call first.
    await new Promise((resolve) => setImmediate(resolve))
    if (this.#waiting.length === 0) return false
    const same = this.#waiting.findIndex(({ door }) => door === this.#lastDoor)
    const at = same >= 0 && this.#random.integer(3) > 0 ? same : this.#random.integer(this.#waiting.length)
    const [next] = this.#waiting.splice(at, 1)
    this.#lastDoor = next!.door
    next!.go()
    return true
  }

  /** A door for one user. `shutAt`: it shuts when so many of its steps were made. */
  door(name: string, shutAt = Number.POSITIVE_INFINITY): ObjectStore & { readonly stepCount: () => number } {
    let steps = 0
    const wait = (): Promise<void> => {
      if (steps >= shutAt) return new Promise(() => undefined)
      steps++
      return new Promise((go) => this.#waiting.push({ door: name, go }))
    }
    const call = async <Result>(what: string, effect: () => Result): Promise<Result> => {
      await wait()
      const result = effect()
      this.trace.push(`${name} ${what}${result === false ? ": exists" : ""}`)
      await wait()
      return result
    }
    return {
      url: "stepped:",
      stepCount: () => steps,
      get: (key, range) =>
        call(`get ${key}`, () => this.objects.get(key)?.slice(range?.offset ?? 0, endOf(range))),
      create: (key, parts) =>
        call(`create ${key}`, () => {
          if (this.objects.has(key)) return false
          this.objects.set(key, Buffer.concat(parts))
          return true
        }),
      remove: (key) => call(`remove ${key}`, () => void this.objects.delete(key)),
      list: async (prefix) => {
        const keys = [...this.objects.keys()].sort()
        const border = keys[this.#random.integer(keys.length + 1)]
        const isFirst = (key: string): boolean => border === undefined || key < border
        const first = await call(`list ${prefix}, first part`, () => this.#list(prefix, isFirst))
        const rest = await call(`list ${prefix}, rest`, () => this.#list(prefix, (key) => !isFirst(key)))
        return [...first, ...rest]
      },
      close: () => Promise.resolve(),
    }
  }

  #list(prefix: string, isPart: (key: string) => boolean): ObjectSummary[] {
    return [...this.objects]
      .filter(([key]) => key.startsWith(prefix) && isPart(key))
      .map(([key, { length }]) => ({ key, bytes: length, modifiedMs: 0 }))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
  }
}

function endOf(range: { offset: number; bytes: number } | undefined): number | undefined {
  return range === undefined ? undefined : range.offset + range.bytes
}
