// The same keys, values and order for all who are measured: 16 bytes and 100 bytes, uniformly random, from a
// seed. Keys are written into one buffer, so that no contender pays for the making of a million objects.

export const KEY_BYTES = 16
export const VALUE_BYTES = 100

/** A reusable key: `setKey(key, i)` makes it the key of record `i`. */
export function newKey(): Buffer {
  return Buffer.from("record0000000000", "latin1")
}

/** Makes `key` that of record `i`, in place. */
export function setKey(key: Buffer, i: number): void {
  let rest = i
  for (let at = KEY_BYTES - 1; at > KEY_BYTES - 9; at--) {
    key[at] = 48 + (rest % 10)
    rest = (rest / 10) | 0
  }
}

/** A value that differs from round to round. */
export function roundValue(round: number): Buffer {
  return Buffer.alloc(VALUE_BYTES, 97 + (round % 26))
}

/** Whole numbers in `[0, bound)`, the same ones for the same seed (xorshift32, Marsaglia 2003). */
export function seededRandom(seed: number): (bound: number) => number {
  let state = (seed * 2_654_435_761) | 1
  return (bound) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}
