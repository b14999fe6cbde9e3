// Whether a partition takes calls.
//
//   open ── hold ──► held: a restore is about to change the state ── letThrough ──► open
//     │ poison                                       reads go on; a write is to be tried again in a moment
//     ├────────► poisoned: storage failed            reads go on; no write until the engine is opened again
//     │ fence
//     ├────────► fenced: another owner has taken over   nothing goes on: what is here is no longer the partition's state
//     │ close
//     └────────► closed                              nothing goes on

import { EngineError } from "../base/error.ts"

export class WriteGate {
  /** Why nothing may be written any more. */
  #refusal: EngineError | undefined
  /** Why nothing may be read any more either. */
  #readRefusal: EngineError | undefined
  #isHeld = false
  #isClosed = false

  get isClosed(): boolean {
    return this.#isClosed
  }

  get isPoisoned(): boolean {
    return this.#refusal?.reason === "ENGINE_POISONED"
  }

  get isFenced(): boolean {
    return this.#refusal?.reason === "OWNER_FENCED"
  }

  /** A restore is about to change the state. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  /** Reads go on when storage failed. @throws EngineError `OWNER_FENCED`, `ENGINE_CLOSED` */
  checkReadable(): void {
    if (this.#readRefusal !== undefined) throw this.#readRefusal
  }

  /**
   * For what changes the partition, also while writes are held.
   * @throws EngineError `ENGINE_POISONED`, `OWNER_FENCED`, `ENGINE_CLOSED`
   */
  checkWritable(): void {
    if (this.#refusal !== undefined) throw this.#refusal
  }

  /** For a write. @throws EngineError `ENGINE_POISONED`, `OWNER_FENCED`, `ENGINE_CLOSED`, `WRITES_STALLED` */
  checkWrite(): void {
    this.checkWritable()
    if (!this.#isHeld) return
    throw new EngineError("WRITES_STALLED", "a restore is about to replace the state: try again in a moment")
  }

  /** From now on a write would be lost: the present state is on disk, and another one is to take its place. */
  hold(): void {
    this.#isHeld = true
  }

  letThrough(): void {
    this.#isHeld = false
  }

  /** For ever; returns what writes are refused with, and undefined when they were refused already. */
  poison(cause: unknown): EngineError | undefined {
    if (this.#refusal !== undefined) return undefined
    const why = cause instanceof Error ? cause.message : String(cause)
    this.#refusal = new EngineError(
      "ENGINE_POISONED",
      `writes are refused since storage failed: ${why}; mend it and open the engine again`,
      { cause },
    )
    return this.#refusal
  }

  /** For ever: every call is refused with `error`. Called again with a better one. Closed stays closed. */
  fence(error: EngineError): void {
    if (this.#isClosed) return
    this.#refusal = error
    this.#readRefusal = error
  }

  /** For ever; returns what calls are refused with. */
  close(): EngineError {
    this.#isClosed = true
    this.#refusal = new EngineError("ENGINE_CLOSED", "the engine is closed")
    this.#readRefusal = this.#refusal
    return this.#refusal
  }
}
