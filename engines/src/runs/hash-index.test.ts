// The index against a Map, with hashes made so that buckets overflow, and scans that run while it grows.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { test } from "vitest"
import { HashIndex } from "./hash-index.ts"

const H2_SPAN = 2 ** 16
const ADDRESS_SPAN = 2 ** 48

/** Numbers in [0, 2^32) from a seed: a 32-bit generator of Marsaglia's xorshift family. */
function randomWords(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

function scanAll(index: HashIndex, room: number, between: () => void = () => undefined): number[] {
  const target = new Float64Array(room)
  const addresses: number[] = []
  for (let position = 0; position !== -1; ) {
    position = index.scanBuckets(position, target)
    addresses.push(...target.subarray(0, index.scanned))
    between()
  }
  return addresses
}

/** Families of hashes: spread, all in few buckets, and many that differ in h2 alone. */
const families: Record<string, (next: () => number) => { h1: number; h2: number }> = {
  spread: (next) => ({ h1: next(), h2: next() & 0xffff }),
  "same low bits": (next) => ({ h1: ((next() & 0x3ff) << 22) >>> 0, h2: next() & 3 }),
  "same h1": (next) => ({ h1: 0xffff_ffff, h2: next() & 0x3ff }),
}

for (const [family, hashOf] of Object.entries(families)) {
  test(`hash index: behaves as a map under random calls (${family})`, () => {
    for (const seed of [1, 2, 3]) {
      const next = randomWords(seed)
      const index = new HashIndex()
      const model = new Map<number, number>()
      for (let step = 0; step < 20_000; step++) {
        const { h1, h2 } = hashOf(next)
        const name = h1 * H2_SPAN + h2
        const address = (next() * H2_SPAN + (next() & 0xffff)) % ADDRESS_SPAN
        const kept = model.get(name) ?? -1
        const from = next() % 4 === 0 ? address : kept
        const at = `seed ${seed}, step ${step}`
        strictEqual(index.get(h1, h2), kept, at)
        switch (next() % 5) {
          case 0:
          case 1:
            strictEqual(index.set(h1, h2, address), kept, at)
            model.set(name, address)
            break
          case 2:
            strictEqual(index.insertIfAbsent(h1, h2, address), kept === -1, at)
            if (kept === -1) model.set(name, address)
            break
          case 3:
            strictEqual(index.replace(h1, h2, from, address), kept !== -1 && from === kept, at)
            if (kept !== -1 && from === kept) model.set(name, address)
            break
          default:
            strictEqual(index.remove(h1, h2, from), kept !== -1 && from === kept, at)
            if (from === kept) model.delete(name)
        }
        strictEqual(index.count, model.size, at)
      }
      deepStrictEqual(scanAll(index, 7).sort(), [...model.values()].sort(), `seed ${seed}`)
      for (const [name, address] of model) {
        strictEqual(index.get(Math.floor(name / H2_SPAN), name % H2_SPAN), address, `seed ${seed}`)
      }
    }
  })
}

test("hash index: a scan meets what is there all the time exactly once, however the index grows and shrinks", () => {
  for (const seed of [11, 12, 13, 14]) {
    const next = randomWords(seed)
    const index = new HashIndex()
    const stable = 500
    for (let i = 0; i < stable; i++) index.set(next(), i & 0xffff, i)
    const passing: { h1: number; address: number }[] = []
    let address = 1_000_000
    const met = scanAll(index, 16, () => {
      for (let i = 0; i < 40; i++) {
        const h1 = next()
        passing.push({ h1, address })
        index.set(h1, 0xabcd, address++)
      }
      for (let i = 0; i < 10; i++) {
        const gone = passing.splice(next() % passing.length, 1)[0]!
        ok(index.remove(gone.h1, 0xabcd, gone.address))
      }
    })
    const counts = new Uint8Array(stable)
    for (const found of met) if (found < stable) counts[found]!++
    deepStrictEqual([...new Set(counts)], [1], `seed ${seed}`)
    strictEqual(new Set(met).size, met.length, `seed ${seed}: nothing comes twice`)
  }
})

test("hash index: a call of scan visits no more buckets than the target has room, also when all entries are gone", () => {
  const index = new HashIndex()
  const next = randomWords(5)
  const hashes = Array.from({ length: 10_000 }, next)
  for (const h1 of hashes) index.set(h1, 1, h1)
  for (const h1 of hashes) index.remove(h1, 1, h1)
  strictEqual(index.count, 0)
  const target = new Float64Array(64)
  let calls = 0
  for (let position = 0; position !== -1; calls++) position = index.scanBuckets(position, target)
  ok(calls >= 10_000 / 4 / 64, `${calls} calls`)
})

test("hash index: at a million keys an entry costs at most 24 bytes, at every size on the way from 300 000", () => {
  const index = new HashIndex()
  const next = randomWords(7)
  for (let i = 1; i <= 1_000_000; i++) {
    index.set(next(), i & 0xffff, i)
    if (i >= 300_000 && i % 10_000 === 0) {
      ok(index.bytes / index.count <= 24, `${index.bytes / index.count} bytes a key at ${i} keys`)
    }
  }
  strictEqual(index.count, 1_000_000)
})

test("hash index: addresses and hashes keep all their bits", () => {
  const index = new HashIndex()
  for (const address of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 47, ADDRESS_SPAN - 1]) {
    for (const [h1, h2] of [
      [0, 0],
      [0xffff_ffff, 0xffff],
      [0x8000_0000, 0x8000],
    ] as const) {
      index.set(h1, h2, address)
      strictEqual(index.get(h1, h2), address)
      strictEqual(index.get(h1, h2 ^ 1), -1)
      strictEqual(index.get(h1 ^ 0x10000, h2), -1)
    }
  }
  strictEqual(index.count, 3)
})

test("hash index: a batch finds what single look-ups find, in chains and in the middle of a round of splits", () => {
  const index = new HashIndex()
  const next = randomWords(9)
  const h1 = new Uint32Array(256)
  const h2 = new Uint16Array(256)
  const addresses = new Float64Array(256)
  const known: number[] = []
  for (let i = 0; i < 5000; i++) {
    // Few low bits: buckets overflow.
    const hash = (next() & ~0xf00) >>> 0
    known.push(hash)
    index.set(hash, hash & 0xff, 2 ** 32 + i)
    if (i % 97 !== 0) continue
    for (let j = 0; j < 256; j++) {
      h1[j] = j % 4 === 0 ? next() : known[next() % known.length]!
      h2[j] = h1[j]! & 0xff
    }
    addresses.fill(7)
    index.getBatch(h1, h2, addresses, 255)
    for (let j = 0; j < 255; j++) strictEqual(addresses[j], index.get(h1[j]!, h2[j]!))
    strictEqual(addresses[255], 7)
  }
})

test("hash index: one that was made for some number of keys takes any number, and a scan meets each once", () => {
  for (const expected of [1, 64, 65, 1000, 4095, 20_000]) {
    const index = new HashIndex(expected)
    const count = 2 * expected + 10
    const hash = (i: number): [number, number] => [Math.imul(i + 1, 2654435761) >>> 0, i & 0xffff]
    for (let i = 0; i < count; i++) strictEqual(index.set(...hash(i), i), -1)
    for (let i = 0; i < count; i++) strictEqual(index.get(...hash(i)), i)
    const scanned: number[] = []
    const target = new Float64Array(64)
    for (let at = 0; at !== -1; ) {
      at = index.scanBuckets(at, target)
      scanned.push(...target.subarray(0, index.scanned))
    }
    deepStrictEqual(
      scanned.sort((a, b) => a - b),
      Array.from({ length: count }, (_, i) => i),
    )
  }
})
