// Chance with a seed: the same numbers for the same seed, on every machine.

/** Whole numbers in `[0, 2^32)`: xoshiro128** (Blackman and Vigna 2018), its state from splitmix32. */
export function seededBits(seed: number): () => number {
  let mix = seed | 0
  const next = (): number => {
    mix = (mix + 0x9e3779b9) | 0
    let z = mix
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return z ^ (z >>> 16)
  }
  let a = next()
  let b = next()
  let c = next()
  let d = next()
  return () => {
    const five = Math.imul(b, 5)
    const bits = Math.imul((five << 7) | (five >>> 25), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 11) | (d >>> 21)
    return bits
  }
}

/** Whole numbers in `[0, bound)`; `bound` is at most 2^32. */
export function seededRandom(seed: number): (bound: number) => number {
  const bits = seededBits(seed)
  return (bound) => Math.floor((bits() / 2 ** 32) * bound)
}
