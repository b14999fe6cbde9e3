// One suite for all object stores.

import {
  DirectoryObjectStore,
  type FileSystem,
  NodeFileSystem,
  type ObjectStore,
  openObjectStore,
} from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { SimulatedFileSystem } from "../simulation/index.ts"
import { expectReason } from "./expect-error.ts"
import { temporaryDirectory } from "./temporary-directory.ts"

const temporaryRoot = temporaryDirectory()
let directoryCount = 0

interface Place {
  readonly fileSystem: FileSystem
  readonly directory: string
}

const places: { name: string; make: () => Place }[] = [
  {
    name: "DirectoryObjectStore on NodeFileSystem",
    make: () => ({ fileSystem: new NodeFileSystem(), directory: `${temporaryRoot}/${++directoryCount}` }),
  },
  {
    name: "DirectoryObjectStore on SimulatedFileSystem",
    make: () => ({ fileSystem: new SimulatedFileSystem({ seed: 2 }), directory: "/repository" }),
  },
]

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

async function text(store: ObjectStore, key: string, range?: { offset: number; bytes: number }) {
  const found = await store.get(key, range)
  return found === undefined ? undefined : new TextDecoder().decode(found)
}

async function keys(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await store.list(prefix)).map(({ key }) => key)
}

for (const { name, make } of places) {
  describe(name, () => {
    async function setUp() {
      const place = make()
      return { ...place, store: await DirectoryObjectStore.open(place.fileSystem, place.directory) }
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
      const { fileSystem, directory } = await setUp()
      for (let round = 0; round < 5; round++) {
        const stores = await Promise.all(
          Array.from({ length: 6 }, () => DirectoryObjectStore.open(fileSystem, directory)),
        )
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

    test("an object cannot have the name of a folder, or lie below another object", async () => {
      const { store } = await setUp()
      await store.create("a/b", [bytes("x")])
      await expectReason(store.create("a", [bytes("y")]), "REPOSITORY_FAILED")
      await expectReason(store.create("a/b/c", [bytes("y")]), "REPOSITORY_FAILED")
      expect(await keys(store, "")).toEqual(["a/b"])
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

    test("what is no object is not listed, and drafts of a crash are removed by the next open", async () => {
      const { fileSystem, directory, store } = await setUp()
      await store.create("a", [bytes("x")])
      const leftover = `${directory}/~drafts/0/77`
      const file = await fileSystem.open(leftover, "create")
      await file.write(bytes("half"), 0)
      await file.close()
      expect(await keys(store, "")).toEqual(["a"])
      const reopened = await DirectoryObjectStore.open(fileSystem, directory)
      expect(await fileSystem.status(leftover)).toBeUndefined()
      expect(await keys(reopened, "")).toEqual(["a"])
    })

    test("drafts of a store that is at work are left alone by others that open", async () => {
      const { fileSystem, directory, store } = await setUp()
      await store.create("warm-up", [])
      const slot = `${directory}/~drafts/0`
      const lock = await fileSystem.lock(slot)
      const draft = await fileSystem.open(`${slot}/1`, "create")
      await draft.close()
      const other = await DirectoryObjectStore.open(fileSystem, directory)
      expect(await other.create("a", [bytes("x")])).toBe(true)
      expect(await fileSystem.status(`${slot}/1`)).toBeDefined()
      await lock.release()
    })

    test("a store opened by its URL is the same store", async () => {
      const { fileSystem, directory, store } = await setUp()
      await store.create("a", [bytes("x")])
      expect(store.url).toBe(`file:${directory}`)
      for (const url of [`file:${directory}`, `file://${directory}`, `FILE:${directory}/`]) {
        const opened = await openObjectStore(url, fileSystem)
        expect(await text(opened, "a")).toBe("x")
        expect(opened.url).toBe(`file:${directory}`)
      }
    })
  })
}

test("URLs that name no object store are refused, with the reason in words", async () => {
  const fileSystem = new SimulatedFileSystem({ seed: 3 })
  const messageOf = (url: string): Promise<string> =>
    expectReason(openObjectStore(url, fileSystem), "REPOSITORY_URL_INVALID")
  expect(await messageOf("s3://bucket/prefix")).toContain("not supported by this version")
  expect(await messageOf("file:relative/directory")).toContain("relative")
  expect(await messageOf("file:")).toContain("relative")
  expect(await messageOf("file://host/directory")).toContain("host")
  expect(await messageOf("ftp://host/x")).toContain("ftp:")
  expect(await messageOf("/just/a/path")).toContain("scheme")
  expect(await messageOf("file:/a\0b")).toContain("zero")
})

test("a full disk is STORAGE_FULL, a failing one REPOSITORY_FAILED, and neither leaves an object", async () => {
  const disk = new SimulatedFileSystem({ seed: 4 })
  const store = await DirectoryObjectStore.open(disk, "/repository")
  await store.create("before", [new Uint8Array(100)])
  disk.setFreeBytes(1000)
  await expectReason(store.create("a", [new Uint8Array(2000)]), "STORAGE_FULL")
  disk.setFreeBytes(Number.POSITIVE_INFINITY)
  disk.failNth("sync", 1)
  await expectReason(store.create("a", [new Uint8Array(2000)]), "REPOSITORY_FAILED")
  expect(await keys(store, "")).toEqual(["before"])
  expect(await store.create("a", [new Uint8Array(2000)])).toBe(true)
  expect(disk.openPaths).toEqual([])
  expect(disk.paths()).toEqual(["/repository/a", "/repository/before"])
})
