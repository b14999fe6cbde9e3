// Which chunks of an arriving run are here: one byte a chunk, and sums of their lengths.

import type { RunChunks } from "./run-chunks.ts"

export const chunkStates = {
  missing: 0,
  here: 1,
  /** A reader has asked for it; it is not written yet. */
  asked: 2,
  /** What the repository holds is not the chunk. */
  damaged: 3,
} as const

export type ChunkState = (typeof chunkStates)[keyof typeof chunkStates]

export class ChunkStates {
  readonly #chunks: RunChunks
  readonly #states: Uint8Array
  readonly #bytes: [number, number, number, number]

  /** All chunks are missing. */
  constructor(chunks: RunChunks) {
    this.#chunks = chunks
    this.#states = new Uint8Array(chunks.count)
    this.#bytes = [chunks.end, 0, 0, 0]
  }

  of(index: number): ChunkState {
    return this.#states[index] as ChunkState
  }

  /** Bytes of the chunks in a state. */
  bytesIn(state: ChunkState): number {
    return this.#bytes[state]
  }

  set(index: number, state: ChunkState): void {
    const bytes = this.#chunks.bytesOf(index)
    this.#bytes[this.of(index)] -= bytes
    this.#bytes[state] += bytes
    this.#states[index] = state
  }

  /** All chunks in a state. */
  in(state: ChunkState): number[] {
    return [...this.#states.keys()].filter((index) => this.#states[index] === state)
  }

  /** Chunks of `[from, to)` that are not here. */
  absent(from: number, to: number): number[] {
    const absent: number[] = []
    for (let index = from; index < to; index++) {
      if (this.#states[index] !== chunkStates.here) absent.push(index)
    }
    return absent
  }

  /** Chunks of `[from, to)` that are missing and that nobody has asked for. */
  missing(from: number, to: number): number[] {
    return this.absent(from, to).filter((index) => this.#states[index] === chunkStates.missing)
  }

  /** The first chunk that is missing and that nobody has asked for; -1 when there is none. */
  firstMissing(): number {
    return this.#states.indexOf(chunkStates.missing)
  }
}
