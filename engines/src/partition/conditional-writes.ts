// Writes with conditions: applied when every key named by a condition has the value expected of it, otherwise not.
//
//   all values in memory    decided and applied in the turn of the call
//   some on disk            keys are watched ─► values arrive ─► all known? ─► decided and applied in that turn
//                                    ▲                             │ a watched key was written meanwhile
//                                    └──────── asked again ◄───────┘
//
// Watching is Redis's WATCH turned inward: every write passes here while somebody waits (`isWatching`; otherwise it
// costs one comparison), and marks what is known about its keys as known no more. So a decision always rests on the
// state of the turn in which it is applied, with any engine: cores know nothing of conditions.
//
// Who waits holds a copy of its bytes; both their number and their bytes are bounded.

import { EngineError } from "../base/error.ts"
import { decodeRecord, RecordCursor } from "../base/record.ts"
import type { SequencedFrame } from "../engine.ts"
import { Conditions, type ReadMany } from "./conditions.ts"

/** Conditional writes that wait for the disk. */
export const WAITING_WRITES_MAX = 1024
/** Their records and conditions; one that is larger waits alone. */
export const WAITING_BYTES_MAX = 16 * 1024 * 1024
/** A key that is written all the time stays in memory, so more rounds than these mean that memory is far too small. */
const FURTHER_ROUNDS_MAX = 100

/** Where decided writes go. */
export interface ConditionalTarget {
  readonly read: ReadMany
  /** Throws when `bytes` of records cannot be taken now, for whatever reason. */
  admit(bytes: number): void
  /** Applies checked records as a plain write does. */
  apply(batch: Uint8Array, frame: SequencedFrame | undefined): Promise<void> | undefined
}

interface WaitingWrite {
  readonly batch: Uint8Array
  readonly frame: SequencedFrame | undefined
  readonly conditions: Conditions
  readonly bytes: number
  readonly reject: (error: unknown) => void
}

interface Watcher {
  readonly conditions: Conditions
  readonly index: number
}

export class ConditionalWrites {
  readonly #target: ConditionalTarget
  readonly #waiting = new Set<WaitingWrite>()
  /** By key, as one character a byte. */
  readonly #watchers = new Map<string, Watcher[]>()
  readonly #cursor = new RecordCursor()
  #waitingBytes = 0

  constructor(target: ConditionalTarget) {
    this.#target = target
  }

  /** Whether writes have to be shown to `touch` or `touchAll`. */
  get isWatching(): boolean {
    return this.#waiting.size > 0
  }

  /**
   * Applies `batch` if every record of `expected` is the present value of its key (empty: it has none). `undefined`,
   * or a promise of the core's pressure, when all values were in memory: it was applied in this turn. Otherwise a
   * promise that rejects when nothing was applied.
   * @param batch checked records; both are the caller's again when this returns
   * @throws EngineError `CONDITION_FAILED`, `WRITES_STALLED`, and what a plain write throws; nothing was then applied
   */
  write(batch: Uint8Array, expected: Uint8Array, frame?: SequencedFrame): Promise<void> | undefined {
    this.#target.admit(batch.length)
    const conditions = new Conditions(expected)
    const reading = conditions.look(this.#target.read)
    return reading === undefined ? this.#apply(batch, frame) : this.#wait(batch, conditions, reading, frame)
  }

  /** A key is written in this turn. */
  touch(key: Uint8Array): void {
    for (const { conditions, index } of this.#watchers.get(nameOf(key)) ?? []) conditions.mark(index)
  }

  /** The keys of a checked batch are written in this turn. */
  touchAll(batch: Uint8Array): void {
    const cursor = this.#cursor
    for (let at = 0; at < batch.length && decodeRecord(batch, at, batch.length, cursor); at = cursor.end) {
      this.touch(batch.subarray(cursor.keyStart, cursor.keyEnd))
    }
  }

  /** Nothing that waits is applied any more: the state is out of service, or another one. */
  failAll(error: EngineError): void {
    for (const write of [...this.#waiting]) {
      this.#forget(write)
      write.reject(error)
    }
  }

  #apply(batch: Uint8Array, frame: SequencedFrame | undefined): Promise<void> | undefined {
    return batch.length === 0 ? undefined : this.#target.apply(batch, frame)
  }

  #wait(
    batch: Uint8Array,
    conditions: Conditions,
    reading: Promise<void>,
    frame: SequencedFrame | undefined,
  ): Promise<void> {
    const bytes = batch.length + conditions.bytes
    return new Promise((resolve, reject) => {
      const isFull =
        this.#waiting.size >= WAITING_WRITES_MAX ||
        (this.#waiting.size > 0 && this.#waitingBytes + bytes > WAITING_BYTES_MAX)
      if (isFull) {
        const stalled = new EngineError(
          "WRITES_STALLED",
          `${this.#waiting.size} conditional writes of ${this.#waitingBytes} bytes wait for the disk already`,
        )
        const refuse = (): void => reject(stalled)
        // The answer to the reads comes to nobody; it is waited for, so that refusing costs the caller time.
        reading.then(refuse, refuse)
        return
      }
      conditions.own()
      const write: WaitingWrite = {
        batch: new Uint8Array(batch),
        frame: frame && { ...frame, session: Uint8Array.from(frame.session) },
        conditions,
        bytes,
        reject,
      }
      this.#watch(write)
      this.#decide(write, reading).then(resolve, reject)
    })
  }

  async #decide(write: WaitingWrite, firstRead: Promise<void>): Promise<void> {
    const { batch, frame, conditions } = write
    const roundsMax = conditions.roundCount + FURTHER_ROUNDS_MAX
    try {
      let reading: Promise<void> | undefined = firstRead
      for (let round = 0; reading !== undefined; round++) {
        if (round === roundsMax) {
          throw new EngineError(
            "WRITES_STALLED",
            `keys of the conditions were written and left memory ${FURTHER_ROUNDS_MAX} times while they were read`,
          )
        }
        await reading
        if (!this.#waiting.has(write)) return // It was rejected meanwhile.
        reading = conditions.look(this.#target.read)
      }
    } finally {
      // Before it is applied: it does not mark itself.
      this.#forget(write)
    }
    await this.#apply(batch, frame)
  }

  #watch(write: WaitingWrite): void {
    const { conditions, bytes } = write
    this.#waiting.add(write)
    this.#waitingBytes += bytes
    for (let index = 0; index < conditions.count; index++) {
      const name = nameOf(conditions.key(index))
      const watchers = this.#watchers.get(name)
      if (watchers === undefined) this.#watchers.set(name, [{ conditions, index }])
      else watchers.push({ conditions, index })
    }
  }

  #forget(write: WaitingWrite): void {
    const { conditions, bytes } = write
    if (!this.#waiting.delete(write)) return
    this.#waitingBytes -= bytes
    for (let index = 0; index < conditions.count; index++) {
      const name = nameOf(conditions.key(index))
      const others = (this.#watchers.get(name) ?? []).filter((watcher) => watcher.conditions !== conditions)
      if (others.length === 0) this.#watchers.delete(name)
      else this.#watchers.set(name, others)
    }
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1")
}
