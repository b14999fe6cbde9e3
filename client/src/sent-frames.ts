// Frames that wait for their answers, by the id that the answer carries.
//
// A table of slots, not a Map. A Map that entries go in and out of builds itself anew every few frames, and its
// former table points at the new one and at the frames of that moment. Once one of them is old, garbage that nobody
// needs lives as long as it does and is moved again and again: 362 000 sets a second with a Map, 1 020 000 with slots
// (Node 20, 512 callers).
//
//   id := generation u8 (1 to 255) | slot u24        a slot's next frame has the next generation, so that an answer
//                                                    that comes twice finds no frame, not another one

import type { Frame } from "./frame.ts"

const SLOT_BITS = 24
const GENERATION_MAX = 255

export class SentFrames {
  readonly #slots: (Frame | undefined)[] = []
  /** By slot: of the frame that is in it, or was the last one. */
  readonly #generations: number[] = []
  readonly #freeSlots: number[] = []

  get size(): number {
    return this.#slots.length - this.#freeSlots.length
  }

  /** Keeps the frame; returns its id, an unsigned number of 32 bits that is not zero. */
  add(frame: Frame): number {
    const slot = this.#freeSlots.pop() ?? this.#slots.length
    if (slot >= 1 << SLOT_BITS)
      throw new Error("invariant broken: frames on their way are bounded by their bytes")
    const generation = ((this.#generations[slot] ?? 0) % GENERATION_MAX) + 1
    this.#slots[slot] = frame
    this.#generations[slot] = generation
    return ((generation << SLOT_BITS) | slot) >>> 0
  }

  /** The frame of this id, which is then free; `undefined` when there is none. */
  take(id: number): Frame | undefined {
    const slot = id & ((1 << SLOT_BITS) - 1)
    const frame = this.#slots[slot]
    if (frame === undefined || this.#generations[slot] !== id >>> SLOT_BITS) return undefined
    this.#slots[slot] = undefined
    this.#freeSlots.push(slot)
    return frame
  }

  /** All frames, in the order of sending. */
  inOrder(): Frame[] {
    const frames = this.#slots.filter((frame) => frame !== undefined)
    return frames.sort((a, b) => a.order - b.order)
  }

  /** Takes all frames, in the order of sending. */
  takeAll(): Frame[] {
    const frames = this.inOrder()
    this.#slots.length = 0
    this.#freeSlots.length = 0
    return frames
  }
}
