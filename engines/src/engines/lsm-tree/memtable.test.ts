// A memtable against a map, with hashes that keys share, and its records in order.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { test } from "vitest"
import { decodeRecord, RecordCursor } from "../../base/record.ts"
import { Memtable } from "./memtable.ts"
import { compareRecords, listRecords, sortRecords } from "./sort-records.ts"

const CAPACITY = 4 * 1024 * 1024

/** Numbers without pattern, the same for the same seed. */
function numbers(seed: number): (end: number) => number {
  let state = seed
  return (end) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * end)
  }
}

function put(memtable: Memtable, hash: number, key: string, value: string): void {
  const [k, v] = [Buffer.from(key, "latin1"), Buffer.from(value, "latin1")]
  memtable.put(hash, 7, k, 0, k.length, v, 0, v.length)
}

function get(memtable: Memtable, hash: number, key: string): string | undefined {
  const bytes = Buffer.from(`<${key}>`, "latin1")
  if (!memtable.find(hash, 7, bytes, 1, bytes.length - 1)) return undefined
  return memtable.bytes.toString("latin1", memtable.cursor.valueStart, memtable.cursor.end)
}

test("memtable: behaves as a map, however many keys share a hash", () => {
  for (const hashCount of [1, 3, 1_000_000]) {
    for (let seed = 1; seed <= 10; seed++) {
      const next = numbers(seed)
      const memtable = new Memtable(1, Buffer.alloc(CAPACITY, 0xaa))
      const model = new Map<string, string>()
      for (let step = 0; step < 3000; step++) {
        const key = `key ${next(80)}`
        const hash = Number(key.slice(4)) % hashCount
        if (next(3) > 0) {
          const value = next(4) === 0 ? "" : "v".repeat(next(300)) + next(10)
          put(memtable, hash, key, value)
          model.set(key, value)
        }
        strictEqual(get(memtable, hash, key), model.get(key), `seed ${seed}, step ${step}`)
      }
      strictEqual(memtable.keyCount, model.size)
      strictEqual(memtable.tombstoneCount, [...model.values()].filter((value) => value === "").length)
      deepStrictEqual(newestInOrder(memtable), [...model].sort(byKey), `seed ${seed}`)
    }
  }
})

/** Of each key the first record in sorted order. */
function newestInOrder(memtable: Memtable): [string, string][] {
  const offsets = listRecords(memtable.bytes, memtable.end)
  sortRecords(memtable.bytes, offsets)
  const found = new Map<string, string>()
  const cursor = new RecordCursor()
  for (const offset of offsets) {
    decodeRecord(memtable.bytes, offset, memtable.end, cursor)
    const key = memtable.bytes.toString("latin1", cursor.keyStart, cursor.keyEnd)
    if (!found.has(key)) found.set(key, memtable.bytes.toString("latin1", cursor.valueStart, cursor.end))
  }
  return [...found]
}

function byKey([a]: [string, string], [b]: [string, string]): number {
  return a < b ? -1 : a > b ? 1 : 0
}

test("memtable: a write that fits is made in place", () => {
  const memtable = new Memtable(1, Buffer.alloc(CAPACITY, 0xaa))
  put(memtable, 1, "key", "v".repeat(200))
  const { end } = memtable
  for (const value of ["w".repeat(200), "short", "", "x".repeat(199), "y".repeat(200)]) {
    put(memtable, 1, "key", value)
    strictEqual(get(memtable, 1, "key"), value)
    strictEqual(memtable.end, end)
  }
  put(memtable, 1, "key", "z".repeat(201))
  ok(memtable.end > end)
  strictEqual(get(memtable, 1, "key"), "z".repeat(201))
})

test("sort: as a comparison sorts, with keys that share prefixes, end in zeros, or are the same", () => {
  const alphabet = ["\0", "\0\0\0\0\0", "a", "ab", "b", "\xff"]
  for (let seed = 1; seed <= 20; seed++) {
    const next = numbers(seed)
    const memtable = new Memtable(1, Buffer.alloc(CAPACITY, 0xaa))
    for (let i = 0; i < 2000; i++) {
      let key = "common prefix"
      for (let part = next(6); part >= 0; part--) key += alphabet[next(alphabet.length)]
      // Another hash each time: all records of a key stay.
      put(memtable, i, key, `${i}`)
    }
    const sorted = listRecords(memtable.bytes, memtable.end)
    const expected = [...sorted].sort((a, b) => compareRecords(memtable.bytes, a, b))
    sortRecords(memtable.bytes, sorted)
    deepStrictEqual([...sorted], expected, `seed ${seed}`)
  }
})
