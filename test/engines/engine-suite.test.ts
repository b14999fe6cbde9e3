// What every engine does, the same for all of them. A caller cannot tell engines apart by anything in here.

import { type Engine, engineNames, NOT_READ, openEngine, ReadBudget } from "@varve/engines"
import { encodeRecord } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { simulatedSeams } from "../simulation/index.ts"
import {
  bytes,
  contents,
  countingEngines,
  fill,
  orderedEngines,
  read,
  reasonOf,
  tinyEngine,
} from "./engine-fixture.ts"

describe.each(engineNames)("%s", (name) => {
  describe("reads and writes", () => {
    test("a key that was never written has no value", async () => {
      const { engine } = await tinyEngine(name)
      expect(await read(engine, "a")).toBeUndefined()
    })

    test("a write can be read as soon as the call returns", async () => {
      const { engine } = await tinyEngine(name)
      const pending = engine.set(bytes("a"), bytes("1"))
      expect(await read(engine, "a")).toBe("1")
      await pending
    })

    test("a new value replaces the old one, shorter, as long and longer", async () => {
      const { engine } = await tinyEngine(name)
      for (const value of ["middle", "min", "max", "much longer than before", "m", "middle"]) {
        await engine.set(bytes("a"), bytes(value))
        expect(await read(engine, "a")).toBe(value)
      }
      expect(engine.statistics().recordCount).toBe(1)
    })

    test("an empty value deletes the key", async () => {
      const { engine } = await tinyEngine(name)
      await engine.set(bytes("a"), bytes("1"))
      await engine.set(bytes("a"), bytes(""))
      expect(await read(engine, "a")).toBeUndefined()
      expect(engine.statistics().recordCount).toBe(0)
      await engine.set(bytes("a"), bytes("2"))
      expect(await read(engine, "a")).toBe("2")
      expect(engine.statistics().recordCount).toBe(1)
    })

    test("deleting what is not there is no error", async () => {
      const { engine } = await tinyEngine(name)
      await engine.delete(bytes("a"))
      expect(engine.statistics().recordCount).toBe(0)
    })

    test("keys of any bytes are kept apart: all single bytes, __proto__, constructor, prefixes of one another", async () => {
      const { engine } = await tinyEngine(name)
      const keys = [
        ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
        ...["__proto__", "constructor", "toString", "a", "ab", "abc", "é", "e\u0301"].map(bytes),
        new Uint8Array(2),
        new Uint8Array(3),
        new Uint8Array(65_535).fill(7),
      ].filter((key, i, all) => all.findIndex((other) => Buffer.compare(key, other) === 0) === i)
      for (const [i, key] of keys.entries()) await engine.set(key, bytes(`${i}`))
      for (const [i, key] of keys.entries()) {
        expect(Buffer.from((await engine.get(key))!).toString()).toBe(`${i}`)
      }
      expect(engine.statistics().recordCount).toBe(keys.length)
    })

    test("bytes that come out belong to the caller, bytes that go in too", async () => {
      const { engine } = await tinyEngine(name)
      const key = bytes("key")
      const value = bytes("value")
      await engine.set(key, value)
      key.fill(0)
      value.fill(0)
      const first = (await engine.get(bytes("key")))!
      first.fill(0)
      expect(await read(engine, "key")).toBe("value")
    })

    test("getMany answers in the order of the keys", async () => {
      const { engine } = await tinyEngine(name)
      await engine.set(bytes("a"), bytes("1"))
      await engine.set(bytes("c"), bytes("3"))
      const values = await engine.getMany(["c", "b", "a", "c"].map(bytes))
      expect(values.map((value) => value && Buffer.from(value).toString())).toEqual([
        "3",
        undefined,
        "1",
        "3",
      ])
    })

    test("a budget ends a read of many keys, whatever is in memory", async () => {
      const { engine } = await tinyEngine(name)
      await engine.set(bytes("large"), new Uint8Array(2000).fill(1))
      // Once from memory, once, where there is a disk, from there.
      for (const recordCount of [0, 2000]) {
        await fill(engine, recordCount)
        const budget = new ReadBudget(5000)
        const keys = [bytes("none"), ...Array.from({ length: 600 }, () => bytes("large"))]
        const values = await engine.getMany(keys, budget)
        expect(values[0]).toBe(undefined)
        expect(values.filter((value) => value === NOT_READ).length).toBe(597)
        expect(values.filter((value) => value?.length === 2000).length).toBe(3)
        expect([budget.isSpent, budget.bytes]).toEqual([true, 6000])
      }
    })

    test("a batch is applied in order", async () => {
      const { engine } = await tinyEngine(name)
      const records: [string, string][] = [
        ["a", "1"],
        ["b", "2"],
        ["a", ""],
        ["b", "3"],
      ]
      await engine.write(records.map(([key, value]) => ({ key: bytes(key), value: bytes(value) })))
      expect(await contents(engine)).toEqual(new Map([["b", "3"]]))
    })

    test("a batch with one bad record is refused whole", async () => {
      const { engine } = await tinyEngine(name)
      const good = { key: bytes("a"), value: bytes("1") }
      const records = [good, { key: bytes(""), value: bytes("1") }]
      expect(await reasonOf(() => engine.write(records))).toBe("KEY_EMPTY")
      const cut = Buffer.concat([encodeRecord(bytes("a"), bytes("1")), encodeRecord(bytes("b"), bytes("2"))])
      expect(await reasonOf(() => engine.writeEncoded(cut.subarray(0, -1)))).toBe("RECORD_MALFORMED")
      expect(await contents(engine)).toEqual(new Map())
    })

    test("bad keys and values are refused with a reason", async () => {
      const { engine } = await tinyEngine(name)
      expect(await reasonOf(() => engine.get(bytes("")))).toBe("KEY_EMPTY")
      expect(await reasonOf(() => engine.set(bytes(""), bytes("1")))).toBe("KEY_EMPTY")
      expect(await reasonOf(() => engine.set(new Uint8Array(65_536), bytes("1")))).toBe("KEY_TOO_LARGE")
      expect(await reasonOf(() => engine.getMany([bytes("a"), bytes("")]))).toBe("KEY_EMPTY")
      expect(await reasonOf(() => engine.set(bytes("a"), new Uint8Array(2049)))).toBe("VALUE_TOO_LARGE")
      await engine.set(bytes("a"), new Uint8Array(2048).fill(1))
      expect((await engine.get(bytes("a")))?.length).toBe(2048)
    })
  })

  describe("more data than memory", () => {
    test("records that left memory are read, overwritten and deleted like others", async () => {
      const { engine } = await tinyEngine(name)
      for (let i = 0; i < 100; i++) await engine.set(bytes(`key:${i}`), bytes(`first ${i}`))
      await fill(engine, 2000)
      for (let i = 0; i < 100; i += 2) await engine.set(bytes(`key:${i}`), bytes(`second ${i}`))
      for (let i = 0; i < 100; i += 3) await engine.delete(bytes(`key:${i}`))
      const values = await engine.getMany(Array.from({ length: 100 }, (_, i) => bytes(`key:${i}`)))
      for (let i = 0; i < 100; i++) {
        const expected = i % 3 === 0 ? undefined : i % 2 === 0 ? `second ${i}` : `first ${i}`
        expect(values[i] && Buffer.from(values[i]!).toString()).toBe(expected)
      }
      if (countingEngines.includes(name)) expect(engine.statistics().recordCount).toBe(2000 + 66)
      expect((await contents(engine)).size).toBe(2066)
    })

    test("a read answers the state of the moment of the call", async () => {
      const { engine } = await tinyEngine(name)
      await engine.set(bytes("a"), bytes("before"))
      await fill(engine, 2000)
      const pending = engine.get(bytes("a"))
      const written = engine.set(bytes("a"), bytes("after"))
      expect(Buffer.from((await pending)!).toString()).toBe("before")
      await written
      expect(await read(engine, "a")).toBe("after")
    })

    test("no descriptor stays open after close", async () => {
      const { engine, seams } = await tinyEngine(name)
      await fill(engine, 2000)
      await engine.snapshot({ version: 1 })
      await engine.restore({ version: 1 })
      await engine.close()
      expect(seams.fileSystem.openPaths).toEqual([])
    })
  })

  describe("scans", () => {
    test("prefix, range and keys only", async () => {
      const { engine } = await tinyEngine(name)
      for (const key of ["a", "ab", "abc", "b", "ba", "c"]) await engine.set(bytes(key), bytes(`<${key}>`))
      const keysOf = async (options: Parameters<Engine["scan"]>[0]): Promise<string[]> => {
        const keys: string[] = []
        for await (const page of engine.scan(options)) for (const { key } of page) keys.push(key.toString())
        return keys.sort()
      }
      expect(await keysOf({ prefix: bytes("ab") })).toEqual(["ab", "abc"])
      expect(await keysOf({ start: bytes("ab"), end: bytes("ba") })).toEqual(["ab", "abc", "b"])
      expect(await keysOf({ prefix: bytes("b"), end: bytes("ba") })).toEqual(["b"])
      for await (const page of engine.scan({ keysOnly: true })) {
        for (const { value } of page) expect(value.length).toBe(0)
      }
    })

    test("a key that is there all the time comes exactly once, whatever is written meanwhile", async () => {
      const { engine } = await tinyEngine(name)
      for (let i = 0; i < 500; i++) await engine.set(bytes(`stays:${i}`), bytes("x"))
      const met = new Map<string, number>()
      let round = 0
      for await (const page of engine.scan()) {
        for (const { key } of page) met.set(key.toString(), (met.get(key.toString()) ?? 0) + 1)
        for (let i = 0; i < 20; i++) {
          await engine.set(bytes(`comes:${round}:${i}`), bytes("y".repeat(50)))
          await engine.set(bytes(`stays:${(round * 20 + i) % 500}`), bytes("longer than before"))
        }
        round++
      }
      for (let i = 0; i < 500; i++) expect(met.get(`stays:${i}`)).toBe(1)
    })

    test("pages are bounded in bytes, and records for which one has no room come all the same", async () => {
      const seams = simulatedSeams(1)
      const valueBytesMax = 100_000
      const options = { directory: "/partition", repository: "file:/repository", valueBytesMax, seams }
      const engine = await openEngine({ engine: name, ...options })
      for (let i = 0; i < 40; i++) await engine.set(bytes(`key:${i}`), new Uint8Array(valueBytesMax).fill(i))
      const seen: string[] = []
      for await (const page of engine.scan({})) {
        expect(page.reduce((sum, { value }) => sum + value.length, 0)).toBeLessThan(400_000)
        for (const { key, value } of page) {
          seen.push(Buffer.from(key).toString())
          expect([value.length, `key:${value[0]}`]).toEqual([valueBytesMax, seen.at(-1)])
        }
      }
      expect(seen.sort()).toEqual(Array.from({ length: 40 }, (_, i) => `key:${i}`).sort())
      await engine.close()
    })

    test("come in the order of keys on engines that order, and only there", async () => {
      const { engine } = await tinyEngine(name)
      await fill(engine, 1000)
      const keys = [...(await contents(engine)).keys()]
      const isOrdered = keys.every((key, i) => i === 0 || keys[i - 1]! < key)
      expect(isOrdered).toBe(orderedEngines.includes(name))
    })
  })
})
