// Which packs the chunk index is filled from, and what packs that cannot be believed cost.

import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import { describe, expect, test } from "vitest"
import { EngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { ObjectStore } from "../io/object-store.ts"
import { ChunkIndex } from "./chunk-index.ts"
import { ChunkListBuilder } from "./chunk-list.ts"
import { loadChunkIndex } from "./load-chunk-index.ts"
import { encodePackTail } from "./pack.ts"
import { regionKinds } from "./region-kind.ts"
import { packKey } from "./repository-keys.ts"

const clock = { nextTurn: () => Promise.resolve() } as Clock

function chunk(number: number): Uint8Array {
  return Buffer.from(`chunk ${number}`)
}

function hash(number: number): Uint8Array {
  return createHash("sha256").update(chunk(number)).digest()
}

/** A store with packs of the given chunks; the first pack is the oldest. */
class Packs {
  readonly objects = new Map<string, Uint8Array>()
  readonly ids: string[] = []

  add(numbers: readonly number[]): string {
    const id = (this.ids.length + 1).toString(16).padStart(32, "0")
    const list = new ChunkListBuilder()
    for (const number of numbers) {
      list.add(regionKinds.records, chunk(number).length, crc32(chunk(number)), hash(number))
    }
    this.objects.set(packKey(id), Buffer.concat([...numbers.map(chunk), encodePackTail(id, list.build())]))
    this.ids.push(id)
    return id
  }

  /** Reads only; `override` answers in place of it. */
  store(override: Partial<ObjectStore> = {}): ObjectStore {
    return {
      url: "test:",
      list: async () =>
        [...this.objects]
          .map(([key, { length }]) => ({ key, bytes: length, modifiedMs: 0 }))
          .sort((a, b) => (a.key < b.key ? -1 : 1)),
      get: async (key, range) => {
        const object = this.objects.get(key)
        return range === undefined ? object : object?.slice(range.offset, range.offset + range.bytes)
      },
      create: async () => false,
      remove: async () => undefined,
      close: async () => undefined,
      ...override,
    }
  }
}

async function load(store: ObjectStore, countMax = 1_000_000) {
  const index = new ChunkIndex()
  const damage: string[] = []
  await loadChunkIndex(store, index, { countMax, clock, onDamage: (key) => damage.push(key) })
  return { index, damage }
}

describe("loading the chunk index", () => {
  test("finds every chunk of every pack, of few chunks and of many", async () => {
    const packs = new Packs()
    const numbers = Array.from({ length: 2000 }, (_, i) => i)
    const first = packs.add(numbers.slice(0, 3))
    const second = packs.add(numbers.slice(3))
    const { index, damage } = await load(packs.store())
    let offset = 0
    for (const number of numbers) {
      if (number === 3) offset = 0
      const place = { pack: number < 3 ? first : second, offset, length: chunk(number).length }
      expect(index.get(regionKinds.records, hash(number), 0)).toEqual(place)
      offset += place.length
    }
    expect(damage).toEqual([])
  })

  test("takes the newest packs first, and stops when it has enough", async () => {
    const packs = new Packs()
    for (let pack = 0; pack < 40; pack++) packs.add([pack * 10, pack * 10 + 1])
    const { index } = await load(packs.store(), 30)
    expect(index.get(regionKinds.records, hash(391), 0)?.pack).toBe(packs.ids[39])
    expect(index.get(regionKinds.records, hash(250), 0)?.pack).toBe(packs.ids[25])
    expect(index.get(regionKinds.records, hash(0), 0)).toBeUndefined()
    expect(index.count).toBe(30)
  })

  test("leaves out packs that are damaged, cut, of a newer format or under another's key, and tells", async () => {
    const packs = new Packs()
    const [good, flipped, short, copied, gone] = [1, 2, 3, 4, 5].map((number) => packs.add([number])) as [
      string,
      string,
      string,
      string,
      string,
    ]
    const object = (id: string) => packs.objects.get(packKey(id))!
    object(flipped)[object(flipped).length - 60]! ^= 1
    const shortBytes = object(short).slice(0, -1)
    packs.objects.set(packKey(copied), object(good))
    const { get } = packs.store()
    const store = packs.store({
      get: async (key, range) => {
        if (key === packKey(gone)) return undefined
        return key === packKey(short) ? shortBytes.slice(range?.offset) : get(key, range)
      },
    })
    const { index, damage } = await load(store)
    expect([...damage].sort()).toEqual([flipped, short, copied].map((id) => packKey(id)))
    expect(index.count).toBe(1)
    expect(index.get(regionKinds.records, hash(1), 0)?.pack).toBe(good)
  })

  test("passes over objects that are no packs of runs", async () => {
    const packs = new Packs()
    packs.add([1])
    packs.objects.set("packs/records/readme", chunk(0))
    const { index, damage } = await load(packs.store())
    expect([index.count, damage]).toEqual([1, []])
  })

  test("fails when the store fails", async () => {
    const packs = new Packs()
    packs.add([1])
    const failure = new EngineError("REPOSITORY_FAILED", "no answer")
    await expect(load(packs.store({ get: () => Promise.reject(failure) }))).rejects.toBe(failure)
  })
})
