// Answers of one pipeline in order within a partition: an answer that is ready waits for those before it.
//
//   frame   1 (disk)   2 (memory)   3 (disk)        all of one partition
//   ready      t=5        t=0          t=3
//   sent       t=5        t=5          t=5

/** A place in the order, taken when a frame arrives. */
export class AnswerSlot<Answer> {
  answer: Answer | undefined
}

export class AnswerOrder<Answer> {
  readonly #send: (answer: Answer) => void
  /** Answers not sent yet, oldest first; the first of them is not ready. */
  readonly #slots: AnswerSlot<Answer>[] = []

  constructor(send: (answer: Answer) => void) {
    this.#send = send
  }

  /** True when nothing waits: an answer that is ready may be sent at once. */
  get isEmpty(): boolean {
    return this.#slots.length === 0
  }

  /** Takes the next place. */
  take(): AnswerSlot<Answer> {
    const slot = new AnswerSlot<Answer>()
    this.#slots.push(slot)
    return slot
  }

  /** The answer of `slot` is ready: sends it and all that waited for it alone. */
  fill(slot: AnswerSlot<Answer>, answer: Answer): void {
    slot.answer = answer
    let sent = 0
    while (sent < this.#slots.length) {
      const ready = this.#slots[sent]!.answer
      if (ready === undefined) break
      this.#send(ready)
      sent++
    }
    if (sent > 0) this.#slots.splice(0, sent)
  }
}
