// Where a run is cut into chunks: at places that its content chooses, so that what stays the same is cut the
// same, wherever it lies.
//
// After FastCDC (Xia et al., USENIX ATC 2016): a gear hash rolls over the bytes; a byte at which its top bits
// are zero is a candidate. Normalized chunking: until `bytesAverage` a candidate needs two bits more than the
// average asks for, behind it two bits less. The first `bytesMin` bytes of a chunk are not looked at.
//
//   file      | record | record | 0 0 | record | … | sections, trailer |
//   cuts      ^             ^         ^            ^      ^    ^       ^
//             between records only                 at any byte
//
// Rules of the records part:
// - A candidate inside a record cuts behind that record and behind the padding that follows it.
// - A record that would take its chunk over `bytesMax` starts a new one. A record above `bytesMax` is alone.
// - Padding is cut when the chunk has reached `bytesMax`: that lies between records as well.
// Chunks are shorter than `bytesMin` only before such a record and at the end of either part.
//
// Reads nothing and allocates nothing per record. The caller owns the buffer and feeds it (`cut-run.ts`).

import { createHash } from "node:crypto"
import { assert } from "../base/assert.ts"
import { decodeRecord, RECORD_HEADER_BYTES_MAX, RecordCursor } from "../base/record.ts"

/** How a repository cuts; stored in `repository.json`, so that all its users cut alike. Bytes. */
export interface ChunkingParameters {
  readonly algorithm: typeof CHUNKING_ALGORITHM
  readonly bytesMin: number
  /** A power of two. */
  readonly bytesAverage: number
  readonly bytesMax: number
}

export const CHUNKING_ALGORITHM = "fastcdc-gear32"

/**
 * Smaller chunks find more again where changes lie here and there, and hardly more where they lie side by side. Each costs
 * an entry and a line of a recipe, and requests when it is fetched: below 16 KiB these grow faster than what is saved.
 */
export const chunkingDefaults: ChunkingParameters = {
  algorithm: CHUNKING_ALGORITHM,
  bytesMin: 4 * 1024,
  bytesAverage: 16 * 1024,
  bytesMax: 64 * 1024,
}

/** What a repository may ask for. */
const CHUNKING_BYTES_LEAST = 64
const CHUNKING_BYTES_MOST = 8 * 1024 * 1024

/** Bits by which normalized chunking makes candidates rarer before the average, and more frequent behind it. */
const NORMALIZATION_BITS = 2

const GEAR = gearTable()

/** True when the numbers are in bounds and in order. */
export function areChunkingParameters(parameters: ChunkingParameters): boolean {
  const { algorithm, bytesMin, bytesAverage, bytesMax } = parameters
  return (
    algorithm === CHUNKING_ALGORITHM &&
    Number.isInteger(bytesMin) &&
    Number.isInteger(bytesMax) &&
    Number.isInteger(Math.log2(bytesAverage)) &&
    CHUNKING_BYTES_LEAST <= bytesMin &&
    bytesMin < bytesAverage &&
    bytesAverage < bytesMax &&
    bytesMax <= CHUNKING_BYTES_MOST
  )
}

/**
 * Cuts one file, whose first `recordsBytes` are records. `position` is how far it has come, in bytes of the
 * file; all before it is decided.
 */
export class Chunker {
  readonly #parameters: ChunkingParameters
  readonly #recordsBytes: number
  readonly #fileBytes: number
  readonly #maskBefore: number
  readonly #maskBehind: number
  readonly #cursor = new RecordCursor()
  #chunkStart = 0
  #position = 0
  /** End of the record that `position` is in; equal to `position` between records. */
  #recordEnd = 0
  /** The chunk ends at the next place between records. */
  #cutDue = false
  #gear = 0

  constructor(parameters: ChunkingParameters, file: { recordsBytes: number; fileBytes: number }) {
    assert(areChunkingParameters(parameters), "chunking parameters are in bounds")
    assert(file.recordsBytes <= file.fileBytes, "records are a part of the file")
    this.#parameters = parameters
    this.#recordsBytes = file.recordsBytes
    this.#fileBytes = file.fileBytes
    const bits = Math.log2(parameters.bytesAverage)
    this.#maskBefore = topBits(bits + NORMALIZATION_BITS)
    this.#maskBehind = topBits(bits - NORMALIZATION_BITS)
  }

  get position(): number {
    return this.#position
  }

  /** Whether the present chunk is of the records part; no chunk is of both. */
  get isInRecords(): boolean {
    return this.#chunkStart < this.#recordsBytes
  }

  /**
   * Moves `position` on over `source`, which holds the file's bytes from `sourceStart`.
   * @returns "cut": a chunk ends at `position`, call again; "more": the bytes from `position` on are needed (at
   * least `CHUNKER_BYTES_AHEAD` of them, or all to the end of the file); "malformed": no record at `position`.
   */
  advance(source: Uint8Array, sourceStart: number): "cut" | "more" | "malformed" {
    if (this.#position < this.#recordsBytes) return this.#advanceRecords(source, sourceStart)
    return this.#advanceBytes(source, sourceStart)
  }

  /** Starts the next chunk at `position`; called when the caller is done with a cut. */
  startChunk(): void {
    this.#chunkStart = this.#position
    this.#cutDue = false
    this.#gear = 0
  }

  #advanceRecords(source: Uint8Array, sourceStart: number): "cut" | "more" | "malformed" {
    const { bytesMax } = this.#parameters
    const sourceEnd = Math.min(sourceStart + source.length, this.#recordsBytes)
    for (;;) {
      if (this.#position === this.#recordEnd) {
        const paddingEnd = Math.max(this.#position, Math.min(sourceEnd, this.#chunkStart + bytesMax))
        while (this.#position < paddingEnd && source[this.#position - sourceStart] === 0) this.#position++
        this.#recordEnd = this.#position
        if (this.#position === this.#recordsBytes) return "cut"
        const chunkBytes = this.#position - this.#chunkStart
        if (chunkBytes >= bytesMax) return "cut"
        if (this.#position === sourceEnd) return "more"
        if (this.#cutDue) return "cut"
        if (this.#position + CHUNKER_BYTES_AHEAD > sourceEnd && sourceEnd < this.#recordsBytes) return "more"
        // The header lies in `source`; the rest of the record need not.
        const at = this.#position - sourceStart
        if (!decodeRecord(source, at, this.#recordsBytes - sourceStart, this.#cursor)) return "malformed"
        const recordEnd = this.#cursor.end + sourceStart
        const grownBytes = recordEnd - this.#chunkStart
        if (grownBytes > bytesMax && chunkBytes > 0) return "cut"
        this.#recordEnd = recordEnd
      }
      const end = Math.min(this.#recordEnd, sourceEnd)
      if (!this.#cutDue) this.#cutDue = this.#findCandidate(source, sourceStart, end) !== -1
      this.#position = end
      if (end < this.#recordEnd) return "more"
    }
  }

  #advanceBytes(source: Uint8Array, sourceStart: number): "cut" | "more" {
    const sourceEnd = Math.min(sourceStart + source.length, this.#fileBytes)
    const end = Math.min(sourceEnd, this.#chunkStart + this.#parameters.bytesMax)
    const candidate = this.#findCandidate(source, sourceStart, end)
    this.#position = candidate === -1 ? end : candidate + 1
    if (candidate !== -1 || this.#position === this.#fileBytes) return "cut"
    return this.#position === this.#chunkStart + this.#parameters.bytesMax ? "cut" : "more"
  }

  /** The first candidate of `[position, end)` as an offset in the file, or -1. */
  #findCandidate(source: Uint8Array, sourceStart: number, end: number): number {
    const averageEnd = this.#chunkStart + this.#parameters.bytesAverage
    const from = Math.max(this.#position, this.#chunkStart + this.#parameters.bytesMin)
    const found = this.#roll(source, sourceStart, from, Math.min(end, averageEnd), this.#maskBefore)
    if (found !== -1) return found
    return this.#roll(source, sourceStart, Math.max(from, averageEnd), end, this.#maskBehind)
  }

  #roll(source: Uint8Array, sourceStart: number, from: number, end: number, mask: number): number {
    let gear = this.#gear
    const sourceEnd = end - sourceStart
    for (let at = from - sourceStart; at < sourceEnd; at++) {
      gear = ((gear << 1) + GEAR[source[at]!]!) | 0
      if ((gear & mask) === 0) {
        this.#gear = gear
        return at + sourceStart
      }
    }
    this.#gear = gear
    return -1
  }
}

/** What `advance` wants to see of a record's beginning. */
const CHUNKER_BYTES_AHEAD = RECORD_HEADER_BYTES_MAX

/** The upper bits: they depend on the most bytes (the top one on the last 32). */
function topBits(count: number): number {
  return (-1 << (32 - count)) | 0
}

/** 256 numbers without pattern: the little-endian words of SHA-256("varve gear 0") to SHA-256("varve gear 31"). */
function gearTable(): Int32Array {
  const table = new Int32Array(256)
  for (let row = 0; row < 32; row++) {
    const digest = createHash("sha256").update(`varve gear ${row}`).digest()
    for (let word = 0; word < 8; word++) table[row * 8 + word] = digest.readInt32LE(word * 4)
  }
  return table
}
