// Callers of the `wire` suite, which have one call on their way at a time. They add nothing to the client's own promise and have
// no closures: what a caller costs is in the figures of all clients, and hides the most of what the fastest one costs.

import type { WireCalls } from "./wire-clients.ts"
import { newKey, setKey } from "./workload.ts"

/** Records of one `write` or `getMany`. */
const BATCH_RECORDS = 256

/** What all callers of a round share. */
export interface Load {
  readonly calls: WireCalls
  readonly value: Buffer
  /** The number of a key, by chance. */
  nextKey(): number
}

export interface Caller {
  /** Records of a call. */
  readonly records: number
  /** Makes the next call. A call may keep its key until it is answered. */
  call(): Promise<unknown>
  /** @throws when the answer is not what was asked for */
  check(answer: unknown): void
}

/** A caller of `workload`. @throws when there is no such workload */
export function callerOf(workload: string, load: Load): Caller {
  switch (workload) {
    case "set":
      return new SetCaller(load)
    case "get":
      return new GetCaller(load)
    case "mixed":
      return new MixedCaller(load)
    case "write":
      return new WriteCaller(load)
    case "getMany":
      return new GetManyCaller(load)
    default:
      throw new Error(`no workload ${workload}`)
  }
}

/** One record a call. */
abstract class KeyCaller implements Caller {
  readonly records = 1
  protected readonly load: Load
  protected readonly key = newKey()

  constructor(load: Load) {
    this.load = load
  }

  abstract call(): Promise<unknown>

  check(_answer: unknown): void {
    // A set says no more than that it is done.
  }
}

class SetCaller extends KeyCaller {
  override call(): Promise<unknown> {
    setKey(this.key, this.load.nextKey())
    return this.load.calls.set(this.key, this.load.value)
  }
}

class GetCaller extends KeyCaller {
  override call(): Promise<unknown> {
    setKey(this.key, this.load.nextKey())
    return this.load.calls.get(this.key)
  }

  override check(found: Buffer | null | undefined): void {
    if (found?.length !== this.load.value.length) throw new Error("a key was not found")
  }
}

class MixedCaller extends KeyCaller {
  override call(): Promise<unknown> {
    const { calls, value } = this.load
    // Each caller by chance: callers that took turns would fall into step.
    const isSet = this.load.nextKey() % 2 === 0
    setKey(this.key, this.load.nextKey())
    return isSet ? calls.set(this.key, value) : calls.get(this.key)
  }
}

class WriteCaller implements Caller {
  readonly records = BATCH_RECORDS
  readonly #load: Load
  readonly #batch: { readonly key: Buffer; readonly value: Buffer }[]

  constructor(load: Load) {
    this.#load = load
    this.#batch = Array.from({ length: BATCH_RECORDS }, () => ({ key: newKey(), value: load.value }))
  }

  call(): Promise<unknown> {
    for (const { key } of this.#batch) setKey(key, this.#load.nextKey())
    return this.#load.calls.write!(this.#batch)
  }

  check(): void {
    // Nor does a write.
  }
}

class GetManyCaller implements Caller {
  readonly records = BATCH_RECORDS
  readonly #load: Load
  readonly #keys = Array.from({ length: BATCH_RECORDS }, newKey)

  constructor(load: Load) {
    this.#load = load
  }

  call(): Promise<unknown> {
    for (const key of this.#keys) setKey(key, this.#load.nextKey())
    return this.#load.calls.getMany!(this.#keys)
  }

  check(found: readonly unknown[]): void {
    if (found.includes(undefined)) throw new Error("a key was not found")
  }
}
