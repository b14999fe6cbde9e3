// Where the data blocks of a sorted run start, and which keys lie in each: the fence pointers of an LSM-tree, in
// memory while the run is open.
//
//   section := fence*                              one a data block, in file order
//   fence   := offset u48 | key length u16 | key
//
// The key of a fence is the shortest prefix of the block's first key that is above the last key of the block before;
// that of the first block is empty. A key lies in the last block whose fence is not above it.
//
// In memory: the keys one behind the other in one buffer, where each starts (4 bytes), the block's offset (8 bytes),
// and the first six bytes behind what all keys have in common, as a number (8 bytes): they decide nearly all steps
// of a search within one small array. (Four bytes are too few for keys of digits: the last steps are equal.)

import { compareRanges, copyRange } from "../base/bytes.ts"
import { KEY_BYTES_MAX } from "../base/record.ts"
import { FENCE_HEADER_BYTES, runDamage } from "./run-format.ts"

const U32_SPAN = 2 ** 32
const ENTRIES_START = 64
/** Of a fence in memory, beside its key. */
const ENTRY_BYTES = 20
/** Bytes of a key that are compared as a number. */
const HEAD_BYTES = 6
const U16_SPAN = 2 ** 16

/** Takes the section in pieces and checks it. */
export class FencesReader {
  readonly #path: string
  readonly #recordsBytes: number
  #keys: Uint8Array
  #keysEnd = 0
  #starts = new Uint32Array(ENTRIES_START)
  #offsets = new Float64Array(ENTRIES_START)
  #count = 0
  #rest = new Uint8Array(0)
  /** Bytes that all keys but the first, which is empty, have in common. */
  #prefixBytes = KEY_BYTES_MAX

  /** @param sectionBytes length of the section, below which that of the keys stays */
  constructor(run: { readonly path: string; readonly recordsBytes: number; readonly sectionBytes: number }) {
    this.#path = run.path
    this.#recordsBytes = run.recordsBytes
    this.#keys = new Uint8Array(run.sectionBytes)
  }

  /** @throws EngineError `DATA_LOSS` */
  push(piece: Uint8Array): void {
    const source = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece])
    const view = new DataView(source.buffer, source.byteOffset, source.length)
    let at = 0
    while (at + FENCE_HEADER_BYTES <= source.length) {
      const keyBytes = view.getUint16(at + 6, true)
      const keyStart = at + FENCE_HEADER_BYTES
      if (keyStart + keyBytes > source.length) break
      const offset = view.getUint32(at, true) + view.getUint16(at + 4, true) * U32_SPAN
      this.#add(offset, source, keyStart, keyStart + keyBytes)
      at = keyStart + keyBytes
    }
    this.#rest = new Uint8Array(source.subarray(at))
  }

  /** @throws EngineError `DATA_LOSS` */
  finish(recordCount: number): Fences {
    if (this.#rest.length > 0) throw runDamage(this.#path, "the fences end in the middle of one")
    if (this.#count > recordCount || (this.#count === 0) !== (recordCount === 0)) {
      throw runDamage(this.#path, "bad number of fences")
    }
    const count = this.#count
    const starts = this.#starts.slice(0, count + 1)
    starts[count] = this.#keysEnd
    return new Fences({
      keys: this.#keys.slice(0, this.#keysEnd),
      starts,
      offsets: this.#offsets.slice(0, count),
      prefixBytes: count < 2 ? 0 : this.#prefixBytes,
      recordsBytes: this.#recordsBytes,
    })
  }

  #add(offset: number, source: Uint8Array, start: number, end: number): void {
    const i = this.#count
    const isOffset = i === 0 ? offset === 0 : offset > this.#offsets[i - 1]! && offset < this.#recordsBytes
    if (!isOffset) throw runDamage(this.#path, `bad offset of fence ${i}`)
    const keys = this.#keys
    const before = i === 0 ? 0 : this.#starts[i - 1]!
    const isKey = i === 0 ? end === start : compareRanges(keys, before, this.#keysEnd, source, start, end) < 0
    if (!isKey) throw runDamage(this.#path, `bad key of fence ${i}`)
    if (i === 1) this.#prefixBytes = end - start
    if (i > 1)
      this.#prefixBytes = commonBytes(keys, before, source, start, Math.min(this.#prefixBytes, end - start))
    if (i + 1 >= this.#offsets.length) {
      this.#offsets = grown(this.#offsets, new Float64Array(this.#offsets.length * 2))
      this.#starts = grown(this.#starts, new Uint32Array(this.#starts.length * 2))
    }
    this.#offsets[i] = offset
    this.#starts[i] = this.#keysEnd
    copyRange(keys, this.#keysEnd, source, start, end)
    this.#keysEnd += end - start
    this.#count++
  }
}

export class Fences {
  readonly #keys: Uint8Array
  readonly #starts: Uint32Array
  readonly #offsets: Float64Array
  readonly #heads: Float64Array
  readonly #prefixBytes: number
  readonly #recordsBytes: number

  constructor(parts: {
    readonly keys: Uint8Array
    readonly starts: Uint32Array
    readonly offsets: Float64Array
    readonly prefixBytes: number
    readonly recordsBytes: number
  }) {
    this.#keys = parts.keys
    this.#starts = parts.starts
    this.#offsets = parts.offsets
    this.#prefixBytes = parts.prefixBytes
    this.#recordsBytes = parts.recordsBytes
    this.#heads = new Float64Array(parts.offsets.length)
    for (let i = 1; i < this.#heads.length; i++) {
      this.#heads[i] = headOf(this.#keys, this.#starts[i]! + parts.prefixBytes, this.#starts[i + 1]!)
    }
  }

  /** How many data blocks there are. */
  get count(): number {
    return this.#offsets.length
  }

  /** Bytes in memory. */
  get bytes(): number {
    return this.#keys.length + this.count * ENTRY_BYTES
  }

  /** Where data block `i` starts in the run. */
  start(i: number): number {
    return this.#offsets[i]!
  }

  /** Where data block `i` ends: there lies nothing but padding behind its records. */
  end(i: number): number {
    return i + 1 < this.#offsets.length ? this.#offsets[i + 1]! : this.#recordsBytes
  }

  /** The one data block that may hold the key with which data block `i` of `other` starts. */
  findFence(other: Fences, i: number): number {
    return this.find(other.#keys, other.#starts[i]!, other.#starts[i + 1]!)
  }

  /** The one data block that may hold the key `source[start, end)`; there is one block or more. */
  find(source: Uint8Array, start: number, end: number): number {
    const count = this.#offsets.length
    if (count < 2) return 0
    const keys = this.#keys
    const prefixBytes = this.#prefixBytes
    const prefixStart = this.#starts[1]!
    // Fences from 1 on share a prefix: a key without it is below or above all of them.
    const shared = Math.min(prefixBytes, end - start)
    for (let i = 0; i < shared; i++) {
      const difference = source[start + i]! - keys[prefixStart + i]!
      if (difference !== 0) return difference < 0 ? 0 : count - 1
    }
    if (shared < prefixBytes) return 0
    const head = headOf(source, start + prefixBytes, end)
    const heads = this.#heads
    let low = 1
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      const fence = heads[middle]!
      const isAbove =
        fence === head
          ? compareRanges(
              keys,
              this.#starts[middle]! + prefixBytes,
              this.#starts[middle + 1]!,
              source,
              start + prefixBytes,
              end,
            ) > 0
          : fence > head
      if (isAbove) high = middle
      else low = middle + 1
    }
    return low - 1
  }
}

/** The first HEAD_BYTES of `source[start, end)` as a number that orders as they do; zeros where it is shorter. */
function headOf(source: Uint8Array, start: number, end: number): number {
  if (start + HEAD_BYTES <= end) {
    const high =
      (source[start]! << 24) | (source[start + 1]! << 16) | (source[start + 2]! << 8) | source[start + 3]!
    return (high >>> 0) * U16_SPAN + ((source[start + 4]! << 8) | source[start + 5]!)
  }
  let head = 0
  for (let i = 0; i < HEAD_BYTES; i++) head = head * 256 + (start + i < end ? source[start + i]! : 0)
  return head
}

/** How many of the first `bytesMax` bytes are the same. */
export function commonBytes(
  a: Uint8Array,
  aStart: number,
  b: Uint8Array,
  bStart: number,
  bytesMax: number,
): number {
  let i = 0
  while (i < bytesMax && a[aStart + i] === b[bStart + i]) i++
  return i
}

function grown<T extends Float64Array | Uint32Array>(from: T, to: T): T {
  to.set(from)
  return to
}
