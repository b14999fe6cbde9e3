// Keys as 48-bit hashes: `h1` chooses the bucket of the hash index, `h2` tells keys of one bucket apart.
// 48 bits give one colliding pair among ten million keys every fifth time; keys are compared all the same.

/**
 * Hashes keys under a seed. One per user, never shared across threads: the results lie in its fields until
 * the next call.
 */
export class KeyHasher {
  readonly seed: number
  /** 32 bits, unsigned. */
  h1 = 0
  /** 16 bits, unsigned. */
  h2 = 0

  /** @param seed 32 bits, unsigned; the same seed gives the same hashes for ever: runs store them. */
  constructor(seed: number) {
    this.seed = seed >>> 0
  }

  /** Leaves the hash of `bytes[start, end)` in `h1` and `h2`. */
  hash(bytes: Uint8Array, start: number, end: number): void {
    // Two lanes of 32 bits, each word multiplied into both, mixed as MurmurHash3's finaliser does
    // (A. Appleby, MurmurHash3, 2011).
    let a = this.seed ^ (end - start)
    let b = (this.seed ^ 0x9e3779b9) | 0
    let at = start
    const wordsEnd = start + ((end - start) & ~3)
    while (at < wordsEnd) {
      const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
      a = Math.imul(a ^ word, 0x85ebca6b)
      a ^= a >>> 15
      b = Math.imul((b + word) | 0, 0xc2b2ae35)
      b ^= b >>> 13
      at += 4
    }
    let rest = 0
    for (let shift = 0; at < end; at++, shift += 8) rest |= bytes[at]! << shift
    a = Math.imul(a ^ rest, 0xcc9e2d51)
    b = Math.imul((b + rest) | 0, 0x1b873593)
    a ^= b >>> 16
    a = Math.imul(a ^ (a >>> 16), 0x85ebca6b)
    a = Math.imul(a ^ (a >>> 13), 0xc2b2ae35)
    b ^= a >>> 11
    b = Math.imul(b ^ (b >>> 16), 0x7feb352d)
    b = Math.imul(b ^ (b >>> 15), 0x846ca68b)
    this.h1 = (a ^ (a >>> 16)) >>> 0
    this.h2 = (b >>> 16) & 0xffff
  }
}
