// The identity under which frames of writes may be sent again: the daemon applies each once (exactly-once, proto/README.md).
// A frame gets its number in its partition when it is first sent, and keeps it, with its bytes, however often it is sent.
//
//   unanswered   5   7   8            6 was given up: it never comes again, and the daemon waits for 5 before it takes 7
//   next         9                    not before 9 - 5 ≤ 63: that is as far as the daemon remembers

import { randomBytes } from "node:crypto"
import type { Frame } from "./frame.ts"
import type { FramePlace } from "./frame-message.ts"
import type { Lane } from "./lane.ts"
import { UNANSWERED_MAX } from "./options.ts"

const SESSION_BYTES = 16

const NO_PLACE: FramePlace = { session: new Uint8Array(0), sequence: 0, unanswered: 0, resent: false }

export class Session {
  /** Undefined: no frame is sent again. */
  readonly #id: Uint8Array | undefined

  constructor(isWanted: boolean) {
    this.#id = isWanted ? randomBytes(SESSION_BYTES) : undefined
  }

  /** Which frames get a number: those with writes. */
  numbers(frame: Frame): boolean {
    return this.#id !== undefined && frame.hasWrites
  }

  /** Whether the lane may hand another numbered frame to its connection. */
  hasRoom({ unanswered, lastSequence, handedOver }: Lane): boolean {
    const oldest = unanswered[0]?.sequence ?? lastSequence + 1
    // Frames that the connection has not sent yet get their numbers before this one.
    const next = lastSequence + (handedOver - unanswered.length) + 1
    return next - oldest <= UNANSWERED_MAX
  }

  /** The frame goes to its connection now. */
  handOver(frame: Frame): void {
    frame.isHandedOver = true
    frame.lane.handedOver++
  }

  /** The fields with which the frame is sent. */
  placeOf(frame: Frame): FramePlace {
    const { lane } = frame
    if (this.#id === undefined || !frame.isHandedOver) return NO_PLACE
    if (frame.sequence === 0) {
      if (!frame.hasWrites) return NO_PLACE
      frame.sequence = ++lane.lastSequence
      lane.unanswered.push(frame)
    }
    const { sequence, mayBeApplied } = frame
    const unanswered = sequence - lane.unanswered[0]!.sequence
    return { session: this.#id, sequence, unanswered, resent: mayBeApplied }
  }

  /** The frame never comes again. */
  done(frame: Frame): void {
    if (!frame.isHandedOver) return
    const { lane } = frame
    lane.handedOver--
    const index = lane.unanswered.indexOf(frame)
    if (index >= 0) lane.unanswered.splice(index, 1)
  }
}
