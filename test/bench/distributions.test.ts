// The orders of keys that the benchmarks use have the distributions that they claim. Seeds are fixed.

import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert"
import { test } from "vitest"
import { harmonic, keyOrder, spreadStride, ZIPF_EXPONENT, zipfRanks } from "./distributions.ts"

const SAMPLES = 2 ** 20
const SEED = 20_240_601

test("uniform: chi-square over 1,000 keys is within four deviations of its mean", () => {
  const keys = 1000
  const counts = new Float64Array(keys)
  for (const key of keyOrder("uniform", keys, SAMPLES, SEED)) counts[key]!++
  const expected = SAMPLES / keys
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  const degrees = keys - 1
  ok(Math.abs(chiSquare - degrees) < 4 * Math.sqrt(2 * degrees), `chi-square is ${chiSquare}`)
})

test.each([1000, 1_000_000])("zipf over %i keys: shares of the hottest ranks are those of theory", (keys) => {
  const ranks = zipfRanks(keys, SAMPLES, SEED)
  for (const hottest of [1, 2, 10, 100, 1000]) {
    const theory = harmonic(hottest) / harmonic(keys)
    const share = ranks.reduce((count, rank) => count + (rank < hottest ? 1 : 0), 0) / SAMPLES
    // Gray's formula is exact for the first two ranks and an approximation for the others.
    const allowed = hottest <= 2 ? 0.002 : 0.02
    ok(Math.abs(share - theory) < allowed, `the hottest ${hottest} have ${share}, in theory ${theory}`)
  }
})

test("zipf: the harmonic number is the sum it stands for", () => {
  let sum = 0
  for (let r = 1; r <= 200_000; r++) sum += r ** -ZIPF_EXPONENT
  ok(Math.abs(harmonic(200_000) - sum) < 1e-6)
})

test.each([1000, 4096, 99_991, 1_000_000])("zipf: ranks are spread over %i keys, each on its own", (keys) => {
  const stride = spreadStride(keys)
  const taken = new Uint8Array(keys)
  for (let rank = 0; rank < keys; rank++) taken[(rank * stride) % keys] = 1
  strictEqual(taken.indexOf(0), -1)
})

test.each(["uniform", "zipf"] as const)("%s: the seed fixes the order", (distribution) => {
  const order = keyOrder(distribution, 5000, 4096, SEED)
  deepStrictEqual(keyOrder(distribution, 5000, 4096, SEED), order)
  notDeepStrictEqual(keyOrder(distribution, 5000, 4096, SEED + 1), order)
})
