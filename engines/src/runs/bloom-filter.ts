// Tells for most keys that a run does not hold them (B. Bloom, "Space/Time Trade-offs in Hash Coding with Allowable
// Errors", CACM 1970). For n keys and a rate ε of false answers: m = ⌈-n ln ε / (ln 2)²⌉ bits, k = ⌊m/n · ln 2⌋
// probes, at least 1. Probe i is at a + i·b, both from the key's 48-bit hash (A. Kirsch, M. Mitzenmacher, "Less
// Hashing, Same Performance", 2006); a multiplication brings it into [0, m).
//
//   section := bit count u64 | probe count u32 | reserved u32 zero | bits          little-endian
//
//   bits    bit x is bit x mod 8 of byte ⌊x / 8⌋; those behind the bit count are zero

import { assert } from "../base/assert.ts"
import { FILTER_BITS_MAX, FILTER_HEADER_BYTES, runDamage } from "./run-format.ts"

/** More probes than an ε of 10^-19 has. */
const PROBES_MAX = 64
const U32_SPAN = 2 ** 32

/** Set once, then asked; asking allocates nothing. */
export class BloomFilter {
  readonly #bitCount: number
  readonly #probeCount: number
  readonly #bits: Uint8Array
  readonly #scale: number

  private constructor(bitCount: number, probeCount: number, bits: Uint8Array) {
    this.#bitCount = bitCount
    this.#probeCount = probeCount
    this.#bits = bits
    this.#scale = bitCount / U32_SPAN
  }

  /** An empty filter for `keyCount` keys. @param rate of false answers, above 0 and below 1 */
  static make(keyCount: number, rate: number): BloomFilter {
    assert(rate > 0 && rate < 1, "a rate lies between 0 and 1")
    const wanted = Math.ceil((-keyCount * Math.log(rate)) / Math.LN2 ** 2)
    const bitCount = Math.min(wanted, FILTER_BITS_MAX)
    const probeCount = keyCount === 0 ? 1 : Math.max(1, Math.floor((bitCount / keyCount) * Math.LN2))
    return new BloomFilter(
      bitCount,
      Math.min(probeCount, PROBES_MAX),
      new Uint8Array(Math.ceil(bitCount / 8)),
    )
  }

  /** Reads a section, and takes its bytes over. @throws EngineError `DATA_LOSS`, naming `path` */
  static decode(section: Uint8Array, path: string): BloomFilter {
    const view = new DataView(section.buffer, section.byteOffset, section.length)
    const bitCount = view.getUint32(0, true) + view.getUint32(4, true) * U32_SPAN
    const probeCount = view.getUint32(8, true)
    if (!(bitCount <= FILTER_BITS_MAX) || section.length !== FILTER_HEADER_BYTES + Math.ceil(bitCount / 8)) {
      throw runDamage(path, "bad length of the filter")
    }
    if (probeCount < 1 || probeCount > PROBES_MAX) throw runDamage(path, "bad number of probes of the filter")
    if (view.getUint32(12, true) !== 0) throw runDamage(path, "bad reserved bytes in the filter")
    const bits = section.subarray(FILTER_HEADER_BYTES)
    if (bitCount % 8 !== 0 && bits.at(-1)! >>> (bitCount % 8) !== 0) {
      throw runDamage(path, "bad bits behind the end of the filter")
    }
    return new BloomFilter(bitCount, probeCount, bits)
  }

  /** The section, in two pieces. */
  encode(): Uint8Array[] {
    const header = new DataView(new ArrayBuffer(FILTER_HEADER_BYTES))
    header.setUint32(0, this.#bitCount % U32_SPAN, true)
    header.setUint32(4, Math.floor(this.#bitCount / U32_SPAN), true)
    header.setUint32(8, this.#probeCount, true)
    return [new Uint8Array(header.buffer), this.#bits]
  }

  /** Bytes in memory. */
  get bytes(): number {
    return this.#bits.length
  }

  add(h1: number, h2: number): void {
    const step = stepOf(h1, h2)
    for (let i = 0, at = h1; i < this.#probeCount; i++, at = (at + step) >>> 0) {
      const bit = (at * this.#scale) >>> 0
      this.#bits[bit >>> 3]! |= 1 << (bit & 7)
    }
  }

  /** False: no key with this hash was added. */
  mayHold(h1: number, h2: number): boolean {
    if (this.#bitCount === 0) return false
    const bits = this.#bits
    const scale = this.#scale
    const step = stepOf(h1, h2)
    for (let i = this.#probeCount, at = h1; i > 0; i--, at = (at + step) >>> 0) {
      const bit = (at * scale) >>> 0
      if ((bits[bit >>> 3]! & (1 << (bit & 7))) === 0) return false
    }
    return true
  }
}

/** Odd, so that probes do not fall together, and of all 48 bits: h2 alone has too few. */
function stepOf(h1: number, h2: number): number {
  const mixed = Math.imul(h1 ^ Math.imul(h2 + 1, 0x9e3779b1), 0x85ebca6b)
  return ((mixed ^ (mixed >>> 15)) | 1) >>> 0
}
