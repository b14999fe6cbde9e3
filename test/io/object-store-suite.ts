// What every object store has to do: one suite, run over a directory, a scripted S3 server and a real one.

import type { ObjectStore } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"

/** Somewhere to keep objects, empty at first. */
export interface ObjectPlace {
  /** Opens the store there once more; whoever made the place closes it. */
  readonly open: () => Promise<ObjectStore>
}

/** Declares the suite for stores in places that `make` makes, a new one for each test. */
export function describeObjectStore(name: string, make: () => ObjectPlace | Promise<ObjectPlace>): void {
  describe(name, () => {
    async function setUp(): Promise<{ store: ObjectStore; open: () => Promise<ObjectStore> }> {
      const { open } = await make()
      return { store: await open(), open }
    }

    test("an object is its parts in order", async () => {
      const { store } = await setUp()
      expect(await store.create("a/b", [bytes("one "), new Uint8Array(0), bytes("two")])).toBe(true)
      expect(await text(store, "a/b")).toBe("one two")
    })

    test("an object without bytes is there", async () => {
      const { store } = await setUp()
      expect(await store.create("empty", [])).toBe(true)
      expect(await store.get("empty")).toEqual(new Uint8Array(0))
      expect(await store.list("")).toMatchObject([{ key: "empty", bytes: 0 }])
    })

    test("create changes nothing when the key exists", async () => {
      const { store } = await setUp()
      expect(await store.create("a", [bytes("first")])).toBe(true)
      expect(await store.create("a", [bytes("second")])).toBe(false)
      expect(await text(store, "a")).toBe("first")
    })

    test("of creators at the same time exactly one wins, and the object is its", async () => {
      const { open, store } = await setUp()
      for (let round = 0; round < 5; round++) {
        const stores = [store, ...(await Promise.all(Array.from({ length: 5 }, open)))]
        const won = await Promise.all(
          stores.map((store, index) => store.create(`race/${round}`, [bytes(`creator ${index}`)])),
        )
        expect(won.filter((isWinner) => isWinner)).toHaveLength(1)
        expect(await text(stores[0]!, `race/${round}`)).toBe(`creator ${won.indexOf(true)}`)
      }
    })

    test("one store creates many objects at the same time", async () => {
      const { store } = await setUp()
      const made = await Promise.all(
        Array.from({ length: 20 }, (_, index) => store.create(`many/${index}`, [bytes(`object ${index}`)])),
      )
      expect(made).toEqual(Array.from({ length: 20 }, () => true))
      for (let index = 0; index < 20; index++)
        expect(await text(store, `many/${index}`)).toBe(`object ${index}`)
    })

    test("get gives the range asked for, cut at the end of the object", async () => {
      const { store } = await setUp()
      await store.create("a", [bytes("0123456789")])
      expect(await text(store, "a", { offset: 2, bytes: 3 })).toBe("234")
      expect(await text(store, "a", { offset: 8, bytes: 100 })).toBe("89")
      expect(await text(store, "a", { offset: 10, bytes: 1 })).toBe("")
      expect(await text(store, "a", { offset: 50, bytes: 1 })).toBe("")
      expect(await text(store, "a", { offset: 3, bytes: 0 })).toBe("")
    })

    test("get gives undefined for what is missing, and for the folder of other objects", async () => {
      const { store } = await setUp()
      await store.create("a/b", [bytes("x")])
      for (const key of ["missing", "a", "a/missing", "a/b/c"]) expect(await store.get(key)).toBeUndefined()
    })

    test("list gives the objects of a prefix, sorted by key, with their lengths", async () => {
      const { store } = await setUp()
      for (const key of ["b/2", "b/10", "b-c", "a/x/y", "a/x.z", "bb"]) await store.create(key, [bytes(key)])
      expect(await keys(store, "")).toEqual(["a/x.z", "a/x/y", "b-c", "b/10", "b/2", "bb"])
      expect(await keys(store, "b")).toEqual(["b-c", "b/10", "b/2", "bb"])
      expect(await keys(store, "b/")).toEqual(["b/10", "b/2"])
      expect(await keys(store, "b/1")).toEqual(["b/10"])
      expect(await keys(store, "a/x")).toEqual(["a/x.z", "a/x/y"])
      expect(await keys(store, "missing/")).toEqual([])
      expect(await store.list("a/x/")).toMatchObject([{ key: "a/x/y", bytes: 5 }])
    })

    test("list of more objects than are asked for at a time gives all of them", async () => {
      const { store } = await setUp()
      const all = Array.from({ length: 100 }, (_, index) => `n/${index}`).sort()
      for (const key of all) await store.create(key, [])
      expect(await keys(store, "n/")).toEqual(all)
    })

    test("a removed object is gone; one that is missing is no error", async () => {
      const { store } = await setUp()
      await store.create("a/b", [bytes("x")])
      await store.remove("a/b")
      await store.remove("a/b")
      await store.remove("a")
      await store.remove("missing/folder")
      expect(await store.get("a/b")).toBeUndefined()
      expect(await keys(store, "")).toEqual([])
      expect(await store.create("a/b", [bytes("again")])).toBe(true)
    })

    test("keys that are no keys are refused before they become paths", async () => {
      const { store } = await setUp()
      const long = "x".repeat(256)
      for (const key of [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "a/../b",
        "./a",
        "a b",
        "a\0",
        "~drafts/0",
        "ä",
        long,
      ]) {
        await expect(store.create(key, [])).rejects.toThrow("object key")
        await expect(store.get(key)).rejects.toThrow("object key")
        await expect(store.remove(key)).rejects.toThrow("object key")
      }
      await expect(store.list("../")).rejects.toThrow("prefix")
      await expect(store.list("a/../")).rejects.toThrow("prefix")
    })
  })
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export async function text(store: ObjectStore, key: string, range?: { offset: number; bytes: number }) {
  const found = await store.get(key, range)
  return found === undefined ? undefined : new TextDecoder().decode(found)
}

export async function keys(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await store.list(prefix)).map(({ key }) => key)
}
