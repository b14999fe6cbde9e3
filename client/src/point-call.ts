// One caller's share of one frame: whom to tell what came of it. A `get` or a `set` is one share; a `getMany` or a
// `write` has one for each frame that it is spread over. Each promise settles once; whatever comes later is dropped.

import { VarveError } from "@varve/proto"
import { unwatchAbort, watchAbort } from "./abort-watch.ts"
import type { Frame } from "./frame.ts"
import type { CallOptions } from "./options.ts"
import type { ValueSource } from "./value-source.ts"

interface AbortWatch {
  readonly signal: AbortSignal
  readonly listener: () => void
}

export abstract class PointCall {
  /** Milliseconds of `performance.now()`, whole ones: a number with a fraction is an object of its own. */
  readonly deadlineAt: number
  readonly deadlineMs: number
  /** The frame that it is in; `undefined` while it waits. */
  frame: Frame | undefined = undefined
  #settled = false
  #watch: AbortWatch | undefined

  /** @throws VarveError `CANCELLED` when the signal is aborted already */
  constructor(nowMs: number, deadlineMs: number, options: CallOptions | undefined) {
    this.deadlineAt = Math.ceil(nowMs + deadlineMs)
    this.deadlineMs = deadlineMs
    if (options?.signal !== undefined) this.#watchSignal(options.signal)
  }

  /** Whether its records are keys to read. */
  abstract get isRead(): boolean
  /** Records of this share in its frame. */
  abstract get recordCount(): number

  get settled(): boolean {
    return this.#settled
  }

  /** Of a call that ends now without an answer: whether it was sent, and what is known of it then. */
  get fate(): string {
    if (this.frame?.isFateUnknown !== true) return "the call was not sent"
    return this.isRead ? "there was no answer yet" : "a write may or may not have been applied"
  }

  /** Fails the call before its answer: its records leave the frame if that has not been sent. */
  giveUp(error: VarveError): void {
    if (this.#settled) return
    if (this.frame !== undefined) this.frame.givenUpCount++
    this.fail(error)
  }

  /** True once: the caller may be told now. */
  protected settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    if (this.#watch !== undefined) unwatchAbort(this.#watch.signal, this.#watch.listener)
    return true
  }

  #watchSignal(signal: AbortSignal): void {
    if (signal.aborted) throw cancelled(signal, this.fate)
    const listener = (): void => this.giveUp(cancelled(signal, this.fate))
    this.#watch = { signal, listener }
    watchAbort(signal, listener)
  }

  fail(error: unknown): void {
    if (this.settle()) this.reject(error)
  }

  /**
   * Takes its first `count` values from the list, which was checked. @returns a share for its other keys; `undefined`
   * when there are none, or nobody waits for them
   */
  abstract read(source: ValueSource, count: number): PointCall | undefined
  /** Its records were applied. */
  abstract written(): void
  protected abstract reject(error: unknown): void
}

/** A `get`. */
export class GetCall extends PointCall {
  override get isRead(): boolean {
    return true
  }

  readonly #resolve: (value: Buffer | undefined) => void
  readonly #reject: (error: unknown) => void

  constructor(
    nowMs: number,
    deadlineMs: number,
    options: CallOptions | undefined,
    resolve: (value: Buffer | undefined) => void,
    reject: (error: unknown) => void,
  ) {
    super(nowMs, deadlineMs, options)
    this.#resolve = resolve
    this.#reject = reject
  }

  override get recordCount(): number {
    return 1
  }

  override read(source: ValueSource, count: number): GetCall | undefined {
    if (count === 0) return this.settled ? undefined : this
    if (this.settle()) this.#resolve(source.next())
    else source.skip()
    return undefined
  }

  override written(): void {
    this.fail(new VarveError("INTERNAL", "the daemon answered a read as if it were a write"))
  }

  protected override reject(error: unknown): void {
    this.#reject(error)
  }
}

/** A `set`, a `delete`, or one partition's records of a `write`. */
export class WriteCall extends PointCall {
  override get isRead(): boolean {
    return false
  }

  override recordCount = 1
  readonly #resolve: () => void
  readonly #reject: (error: unknown) => void

  constructor(
    nowMs: number,
    deadlineMs: number,
    options: CallOptions | undefined,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    super(nowMs, deadlineMs, options)
    this.#resolve = resolve
    this.#reject = reject
  }

  override read(): undefined {
    this.fail(new VarveError("INTERNAL", "a write was answered as if it were a read"))
    return undefined
  }

  override written(): void {
    if (this.settle()) this.#resolve()
  }

  protected override reject(error: unknown): void {
    this.#reject(error)
  }
}

/** What the shares of one `getMany` fill together. */
export class ManyValues {
  readonly #values: (Buffer | undefined)[]
  readonly #resolve: (values: (Buffer | undefined)[]) => void
  readonly reject: (error: unknown) => void
  #missing: number

  constructor(
    keyCount: number,
    resolve: (values: (Buffer | undefined)[]) => void,
    reject: (error: unknown) => void,
  ) {
    this.#values = new Array<Buffer | undefined>(keyCount).fill(undefined)
    this.#missing = keyCount
    this.#resolve = resolve
    this.reject = reject
    if (keyCount === 0) resolve(this.#values)
  }

  put(index: number, value: Buffer | undefined): void {
    this.#values[index] = value
    if (--this.#missing === 0) this.#resolve(this.#values)
  }
}

/** Some keys of one partition of a `getMany`. */
export class GetManyCall extends PointCall {
  override get isRead(): boolean {
    return true
  }

  readonly #many: ManyValues
  /** Where its values belong, in the order of its keys in the frame. */
  readonly #indexes: number[]
  readonly #nowMs: number
  readonly #options: CallOptions | undefined

  constructor(
    nowMs: number,
    deadlineMs: number,
    options: CallOptions | undefined,
    many: ManyValues,
    indexes: number[] = [],
  ) {
    super(nowMs, deadlineMs, options)
    this.#nowMs = nowMs
    this.#options = options
    this.#many = many
    this.#indexes = indexes
  }

  override get recordCount(): number {
    return this.#indexes.length
  }

  /** The next key of its frame is the one that was asked for at `index`. */
  addIndex(index: number): void {
    this.#indexes.push(index)
  }

  /** Another share of the same call, of no keys yet, or of these. */
  sibling(indexes: number[] = []): GetManyCall {
    return new GetManyCall(this.#nowMs, this.deadlineMs, this.#options, this.#many, indexes)
  }

  override read(source: ValueSource, count: number): GetManyCall | undefined {
    const indexes = this.#indexes
    const rest = count < indexes.length && !this.settled ? this.sibling(indexes.slice(count)) : undefined
    const live = this.settle()
    for (let at = 0; at < count; at++) {
      if (live) this.#many.put(indexes[at]!, source.next())
      else source.skip()
    }
    return rest
  }

  override written(): void {
    this.fail(new VarveError("INTERNAL", "the daemon answered a read as if it were a write"))
  }

  protected override reject(error: unknown): void {
    this.#many.reject(error)
  }
}

function cancelled(signal: AbortSignal, fate: string): VarveError {
  return new VarveError("CANCELLED", `the caller cancelled; ${fate}`, { cause: signal.reason })
}
