// The order in which keys are used, made before the clock starts: one typed array, so that choosing a key costs
// a measured loop one sequential read.
//
// Zipf follows Gray et al., "Quickly Generating Billion-Record Synthetic Databases" (SIGMOD 1994), as YCSB does,
// with its constant 0.99. Ranks are spread over the key space, or hot keys would be neighbours on disk. YCSB
// spreads them by a hash under which ranks collide; here it is a permutation, so each rank keeps its own key.

import { seededBits } from "./random.ts"

export const distributionNames = ["uniform", "zipf"] as const
export type Distribution = (typeof distributionNames)[number]

/** The skew: the key of rank r is used in proportion to r^-0.99. */
export const ZIPF_EXPONENT = 0.99

/** Terms of the generalized harmonic number that are summed one by one; the rest is an integral. */
const SUMMED_TERMS = 10_000

/** `count` key numbers in `[0, keys)`, the same ones for the same seed. */
export function keyOrder(distribution: Distribution, keys: number, count: number, seed: number): Uint32Array {
  if (distribution === "uniform") return uniformOrder(keys, count, seed)
  const order = zipfRanks(keys, count, seed)
  const stride = spreadStride(keys)
  for (let i = 0; i < count; i++) order[i] = (order[i]! * stride) % keys
  return order
}

/** Ranks in `[0, keys)`, 0 the hottest. */
export function zipfRanks(keys: number, count: number, seed: number): Uint32Array {
  const bits = seededBits(seed)
  const zeta = harmonic(keys)
  const alpha = 1 / (1 - ZIPF_EXPONENT)
  const second = 1 + 0.5 ** ZIPF_EXPONENT
  const eta = (1 - (2 / keys) ** (1 - ZIPF_EXPONENT)) / (1 - second / zeta)
  const ranks = new Uint32Array(count)
  for (let i = 0; i < count; i++) {
    const u = bits() / 2 ** 32
    const scaled = u * zeta
    const rank = scaled < 1 ? 0 : scaled < second ? 1 : keys * (eta * u - eta + 1) ** alpha
    ranks[i] = Math.min(rank, keys - 1)
  }
  return ranks
}

/** Sum of r^-0.99 for r in `[1, keys]`: the first terms exactly, the others by Euler and Maclaurin. */
export function harmonic(keys: number): number {
  const summed = Math.min(keys, SUMMED_TERMS)
  let sum = 0
  for (let r = 1; r <= summed; r++) sum += r ** -ZIPF_EXPONENT
  if (keys === summed) return sum
  const power = 1 - ZIPF_EXPONENT
  const integral = (keys ** power - summed ** power) / power
  return sum + integral + (keys ** -ZIPF_EXPONENT - summed ** -ZIPF_EXPONENT) / 2
}

/** A multiplier without a common factor with `keys`: `rank * stride % keys` is a permutation of the ranks. */
export function spreadStride(keys: number): number {
  // The golden section keeps neighbours in rank far apart (Knuth, volume 3, section 6.4).
  let stride = Math.max(1, Math.floor(keys * 0.618_033_988_75))
  while (commonFactor(stride, keys) !== 1) stride++
  return stride
}

function uniformOrder(keys: number, count: number, seed: number): Uint32Array {
  const bits = seededBits(seed)
  const order = new Uint32Array(count)
  for (let i = 0; i < count; i++) order[i] = (bits() / 2 ** 32) * keys
  return order
}

function commonFactor(a: number, b: number): number {
  return b === 0 ? a : commonFactor(b, a % b)
}
