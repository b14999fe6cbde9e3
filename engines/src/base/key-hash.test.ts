// Hashes are stored in runs: they are pinned. And they must be good in all their bits: the lowest bits of h1
// choose the bucket, and two keys of equal h1 and h2 cost a read of the disk.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { test } from "vitest"
import { KeyHasher } from "./key-hash.ts"

/** Families of keys as programs make them: number -> key. */
const families: Record<string, (i: number) => Uint8Array> = {
  "decimal with prefix": (i) => Buffer.from(`user:${i}`),
  "padded decimal": (i) => Buffer.from(String(i).padStart(16, "0")),
  "hexadecimal in the middle": (i) => Buffer.from(`s/${i.toString(16)}/name`),
  "u32 little-endian": (i) => new Uint8Array(new Uint32Array([i]).buffer),
  "u64 big-endian": (i) => {
    const key = Buffer.alloc(8)
    key.writeUInt32BE(i, 4)
    return key
  },
  "two counters": (i) => new Uint8Array(new Uint32Array([i & 0x1ff, i >>> 9]).buffer),
  "length alone": (i) => new Uint8Array(1 + i),
  "one bit": (i) => {
    const key = new Uint8Array(40)
    key[(i >>> 3) % 40] = 1 << (i & 7)
    return key
  },
}
const counts: Record<string, number> = { "length alone": 5000, "one bit": 320 }

function hashesOf(family: string, seed: number): { h1: Uint32Array; h2: Uint16Array } {
  const count = counts[family] ?? 100_000
  const hasher = new KeyHasher(seed)
  const h1 = new Uint32Array(count)
  const h2 = new Uint16Array(count)
  for (let i = 0; i < count; i++) {
    const key = families[family]!(i)
    hasher.hash(key, 0, key.length)
    h1[i] = hasher.h1
    h2[i] = hasher.h2
  }
  return { h1, h2 }
}

/** Chi-squared over `bits` bits, as how many standard deviations it is away from its mean. */
function deviation(values: Iterable<number>, bits: number): number {
  const buckets = new Uint32Array(2 ** bits)
  let count = 0
  for (const value of values) {
    buckets[value & (buckets.length - 1)]!++
    count++
  }
  const mean = count / buckets.length
  const chi = buckets.reduce((sum, bucket) => sum + (bucket - mean) ** 2 / mean, 0)
  return (chi - (buckets.length - 1)) / Math.sqrt(2 * (buckets.length - 1))
}

for (const family of Object.keys(families)) {
  for (const seed of [0, 0xdead_beef]) {
    test(`key hash: ${family}, seed ${seed}: every part is spread as chance would`, () => {
      const { h1, h2 } = hashesOf(family, seed)
      const bits = Math.min(12, Math.floor(Math.log2(h1.length / 8)))
      const parts = {
        "low bits of h1": h1,
        "high bits of h1": h1.map((word) => word >>> (32 - bits)),
        "low bits of h2": h2,
        "high bits of h2": h2.map((word) => word >>> (16 - bits)),
        "h1 with h2": h1.map((word, i) => (word & 0x3f) * 64 + (h2[i]! & 0x3f)),
      }
      for (const [part, values] of Object.entries(parts)) {
        ok(Math.abs(deviation(values, bits)) < 6, `${part}: ${deviation(values, bits)} deviations`)
      }
    })

    test(`key hash: ${family}, seed ${seed}: collisions are as rare as chance makes them`, () => {
      const { h1, h2 } = hashesOf(family, seed)
      const pairs = (h1.length * (h1.length - 1)) / 2
      // 28 of the 48 bits, from both parts, so that chance gives a number worth comparing.
      const expected = pairs / 2 ** 28
      const cuts = {
        low: Float64Array.from(h1, (word, i) => (word & 0xffff) * 4096 + (h2[i]! & 0xfff)),
        high: Float64Array.from(h1, (word, i) => (word >>> 16) * 4096 + (h2[i]! >>> 4)),
      }
      for (const [cut, values] of Object.entries(cuts)) {
        const collisions = values.length - new Set(values).size
        ok(collisions <= 2 + expected + 6 * Math.sqrt(expected), `${cut} bits: ${collisions} collisions`)
      }
      const whole = new Set(Float64Array.from(h1, (word, i) => word * 65_536 + h2[i]!))
      strictEqual(whole.size, h1.length)
    })
  }
}

test("key hash: each bit of the key changes each bit of the hash about half of the time", () => {
  const hasher = new KeyHasher(3)
  const samples = 2000
  for (const keyBytes of [1, 4, 7, 16, 33]) {
    const flips = new Uint32Array(48)
    let state = 12345
    const key = new Uint8Array(keyBytes)
    for (let sample = 0; sample < samples; sample++) {
      for (let i = 0; i < keyBytes; i++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
        key[i] = state >>> 24
      }
      hasher.hash(key, 0, keyBytes)
      const before = [hasher.h1, hasher.h2] as const
      const bit = sample % (keyBytes * 8)
      key[bit >>> 3]! ^= 1 << (bit & 7)
      hasher.hash(key, 0, keyBytes)
      for (let i = 0; i < 32; i++) flips[i]! += ((hasher.h1 ^ before[0]) >>> i) & 1
      for (let i = 0; i < 16; i++) flips[32 + i]! += ((hasher.h2 ^ before[1]) >>> i) & 1
    }
    for (const [bit, count] of flips.entries()) {
      ok(
        Math.abs(count / samples - 0.5) < 0.08,
        `keys of ${keyBytes} bytes, bit ${bit}: ${count} of ${samples}`,
      )
    }
  }
})

test("key hash: values are pinned, because runs store them", () => {
  const hash = (key: string, seed: number): number[] => {
    const hasher = new KeyHasher(seed)
    const bytes = Buffer.from(`..${key}.`)
    hasher.hash(bytes, 2, bytes.length - 1)
    return [hasher.h1, hasher.h2]
  }
  deepStrictEqual(hash("a", 0), [665_234_980, 50_719])
  deepStrictEqual(hash("user:1", 0), [1_155_460_205, 12_005])
  deepStrictEqual(hash("user:1", 1), [249_063_183, 31_567])
  deepStrictEqual(hash("0123456789abcdef", 7), [1_973_799_634, 19_007])
})
