// Frames that wait to leave for their connections, and the account of bytes and calls that decides who has to wait.
//
//   lane 0   waiting │ full │ full │ open │ ──┐
//   lane 1   waiting │ open │               ──┼─► a frame of each lane by turns, while bytes in flight have room
//   lane 2   waiting │ full │ open │        ──┘
//
// Within a lane frames leave in order. The first of a lane stays while the session has no number for it, and while it is open
// and may gather more calls. Leaving costs by the frames that leave and the lanes, not by what waits.

import type { Frame } from "./frame.ts"
import type { Lane } from "./lane.ts"
import { GATHER_FROM_FRAMES } from "./options.ts"
import type { Session } from "./session.ts"

export class Departures {
  readonly #session: Session
  readonly #inflightBytesMax: number
  /** Lanes with frames that wait: who could not go for want of room comes first. */
  #lanes: Lane[] = []
  /** Of all frames that are not done, and of those that have left. */
  #bytes = 0
  #inflightBytes = 0
  #waitingCalls = 0

  constructor(session: Session, inflightBytesMax: number) {
    this.#session = session
    this.#inflightBytesMax = inflightBytesMax
  }

  /** Whether no frame waits. */
  get isEmpty(): boolean {
    return this.#lanes.length === 0
  }

  /** Of frames that have left and are not done. */
  get inflightBytes(): number {
    return this.#inflightBytes
  }

  /** Calls that had no room in flight when they came, until their frame leaves. */
  get waitingCalls(): number {
    return this.#waitingCalls
  }

  /** Whether a call of `bytes` has room beside all frames. What is larger than the limit goes alone. */
  hasRoom(bytes: number): boolean {
    return this.#fits(this.#bytes, bytes)
  }

  /** A new frame, the open one of its lane. */
  push(frame: Frame): void {
    const { lane } = frame
    lane.openFrame = frame
    lane.waiting.push(frame)
    if (lane.waiting.length === 1) this.#lanes.push(lane)
  }

  /** A call came into the frame. @param bytes what is known of it; `weigh` tells of more */
  countCall(frame: Frame, bytes: number): void {
    if (!this.hasRoom(bytes)) {
      frame.waitingCount++
      this.#waitingCalls++
    }
    this.weigh(frame, bytes)
  }

  /** Counts `bytes` until the frame is done. */
  weigh(frame: Frame, bytes: number): void {
    frame.bytes += bytes
    this.#bytes += bytes
  }

  done(frame: Frame): void {
    this.#bytes -= frame.bytes
    if (frame.hasLeft) this.#inflightBytes -= frame.bytes
  }

  /** What may leave leaves. */
  leave(): void {
    const staying: Lane[] = []
    let lanes = this.#lanes
    while (lanes.length > 0) {
      const more: Lane[] = []
      for (const [index, lane] of lanes.entries()) {
        const frame = lane.waiting.first!
        if (!this.#fits(this.#inflightBytes, frame.bytes)) {
          this.#lanes = lanes.slice(index).concat(more, staying)
          return
        }
        if (!this.#mayLeave(lane, frame)) {
          staying.push(lane)
          continue
        }
        lane.waiting.shift()
        if (lane.waiting.length > 0) more.push(lane)
        this.#send(frame)
      }
      lanes = more
    }
    this.#lanes = staying
  }

  /** Takes the frames out for which `keeps` is false. @returns them; they are not done yet */
  review(keeps: (frame: Frame) => boolean): Frame[] {
    const dropped: Frame[] = []
    for (const lane of this.#lanes) {
      lane.waiting.filter((frame) => {
        if (keeps(frame)) return true
        dropped.push(frame)
        return false
      })
    }
    this.#lanes = this.#lanes.filter(({ waiting }) => waiting.length > 0)
    for (const frame of dropped) {
      closeFrame(frame)
      this.#waitingCalls -= frame.waitingCount
    }
    return dropped
  }

  /** Takes out what given-up calls have in frames. @returns frames that nobody wants any more; they are not done yet */
  dropGivenUp(): Frame[] {
    return this.review((frame) => {
      if (frame.givenUpCount === 0) return true
      // Nothing is added to a frame that was pruned.
      closeFrame(frame)
      const { bytes, waitingCount } = frame
      const isWanted = frame.prune()
      this.#bytes -= bytes - frame.bytes
      frame.waitingCount = Math.min(waitingCount, frame.calls.length)
      this.#waitingCalls -= waitingCount - frame.waitingCount
      return isWanted
    })
  }

  forEach(visit: (frame: Frame) => void): void {
    for (const lane of this.#lanes) lane.waiting.forEach(visit)
  }

  #fits(others: number, bytes: number): boolean {
    return others === 0 || others + bytes <= this.#inflightBytesMax
  }

  #mayLeave(lane: Lane, frame: Frame): boolean {
    if (this.#session.numbers(frame) && !this.#session.hasRoom(lane)) return false
    return lane.openFrame !== frame || !isBusy(lane)
  }

  /** The frame is its connection's now. */
  #send(frame: Frame): void {
    closeFrame(frame)
    if (this.#session.numbers(frame)) this.#session.handOver(frame)
    frame.hasLeft = true
    this.#inflightBytes += frame.bytes
    this.#waitingCalls -= frame.waitingCount
    frame.lane.connection.send(frame)
  }
}

/** Nothing is added to the frame any more. */
function closeFrame(frame: Frame): void {
  if (frame.lane.openFrame === frame) frame.lane.openFrame = undefined
}

/** Whether the lane's open frame may gather more calls: another is on its way, and so is enough for the daemon. */
function isBusy(lane: Lane): boolean {
  return lane.frameCount > 1 && lane.connection.frameCount >= GATHER_FROM_FRAMES
}
