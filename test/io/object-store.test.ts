// Objects in a directory: the suite of all object stores, and what is a directory's own.

import {
  DirectoryObjectStore,
  type FileSystem,
  NodeFileSystem,
  openObjectStore,
  SystemClock,
  SystemRandom,
} from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { SimulatedFileSystem } from "../simulation/index.ts"
import { expectReason } from "./expect-error.ts"
import { bytes, describeObjectStore, keys, text } from "./object-store-suite.ts"
import { temporaryDirectory } from "./temporary-directory.ts"

const temporaryRoot = temporaryDirectory()
let directoryCount = 0

interface Place {
  readonly fileSystem: FileSystem
  readonly directory: string
}

const others = { clock: new SystemClock(), random: new SystemRandom() }

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

for (const { name, make } of places) {
  describeObjectStore(name, () => {
    const { fileSystem, directory } = make()
    return { open: () => DirectoryObjectStore.open(fileSystem, directory) }
  })

  describe(`${name}, besides`, () => {
    async function setUp() {
      const place = make()
      return { ...place, store: await DirectoryObjectStore.open(place.fileSystem, place.directory) }
    }

    test("an object cannot have the name of a folder, or lie below another object", async () => {
      const { store } = await setUp()
      await store.create("a/b", [bytes("x")])
      await expectReason(store.create("a", [bytes("y")]), "REPOSITORY_FAILED")
      await expectReason(store.create("a/b/c", [bytes("y")]), "REPOSITORY_FAILED")
      expect(await keys(store, "")).toEqual(["a/b"])
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

    test("of an object and the one that takes its place during a listing, one is listed", async () => {
      const { fileSystem, directory, store } = await setUp()
      await store.create("owner/1", [bytes("x")])
      let takeOver = async (): Promise<void> => {
        takeOver = () => Promise.resolve()
        await store.create("owner/2", [bytes("y")])
        await store.remove("owner/1")
      }
      const disturbed = new Proxy(fileSystem, {
        get: (target, name: keyof FileSystem) => {
          if (name !== "list") return target[name].bind(target)
          return async (path: string) => {
            const names = await target.list(path)
            if (names.includes("1")) await takeOver()
            return names
          }
        },
      })
      const other = await DirectoryObjectStore.open(disturbed, directory)
      expect(await keys(other, "owner/")).toEqual(["owner/2"])
      await store.remove("owner/2")
      expect(await keys(other, "")).toEqual([])
    })

    test("a store opened by its URL is the same store", async () => {
      const { fileSystem, directory, store } = await setUp()
      await store.create("a", [bytes("x")])
      expect(store.url).toBe(`file:${directory}`)
      for (const url of [`file:${directory}`, `file://${directory}`, `FILE:${directory}/`]) {
        const opened = await openObjectStore(url, { fileSystem, ...others })
        expect(await text(opened, "a")).toBe("x")
        expect(opened.url).toBe(`file:${directory}`)
      }
    })
  })
}

test("URLs that name no object store are refused, with the reason in words", async () => {
  const fileSystem = new SimulatedFileSystem({ seed: 3 })
  const messageOf = (url: string): Promise<string> =>
    expectReason(openObjectStore(url, { fileSystem, ...others }), "REPOSITORY_URL_INVALID")
  expect(await messageOf("s3://Bucket/prefix")).toContain("bucket")
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
