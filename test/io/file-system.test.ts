// One suite for all file systems: what NodeFileSystem and SimulatedFileSystem promise alike.

import { type File, type FileSystem, NodeFileSystem } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { SimulatedFileSystem } from "../simulation/index.ts"
import { expectReason } from "./expect-error.ts"
import { temporaryDirectory } from "./temporary-directory.ts"

const fileSystems: { name: string; make: () => { fileSystem: FileSystem; root: string } }[] = [
  {
    name: "NodeFileSystem",
    make: () => ({ fileSystem: new NodeFileSystem(), root: temporaryRoot }),
  },
  {
    name: "SimulatedFileSystem",
    make: () => ({ fileSystem: new SimulatedFileSystem({ seed: 1 }), root: "/" }),
  },
]

const temporaryRoot = temporaryDirectory()
let directoryCount = 0

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

for (const { name, make } of fileSystems) {
  describe(name, () => {
    /** An empty directory on the file system, and short ways to write and read files. */
    async function setUp() {
      const { fileSystem, root } = make()
      const directory = `${root === "/" ? "" : root}/${++directoryCount}`
      await fileSystem.makeDirectory(directory)
      const at = (path: string): string => `${directory}/${path}`
      async function put(path: string, text: string): Promise<void> {
        const file = await fileSystem.open(at(path), "create")
        await file.write(bytes(text), 0)
        await file.sync()
        await file.close()
      }
      async function text(path: string): Promise<string | undefined> {
        const file = await fileSystem.open(at(path), "read")
        if (file === undefined) return undefined
        const target = new Uint8Array(1000)
        const count = await file.read(target, 0)
        await file.close()
        return new TextDecoder().decode(target.subarray(0, count))
      }
      async function edit(path: string): Promise<File> {
        const file = await fileSystem.open(at(path), "edit")
        if (file === undefined) throw new Error(`${path} does not exist`)
        return file
      }
      return { fileSystem, directory, at, put, text, edit }
    }

    test("a file with synced writes reads back what was written", async () => {
      const { fileSystem, at, put, text } = await setUp()
      expect(await fileSystem.open(at("a"), "edit-synced")).toBeUndefined()
      await put("a", "0123456789")
      const file = await fileSystem.open(at("a"), "edit-synced")
      await file!.write(bytes("xyz"), 4)
      const target = new Uint8Array(4)
      expect(await file!.read(target, 3)).toBe(4)
      expect(target).toEqual(bytes("3xyz"))
      await file!.sync()
      await file!.close()
      expect(await text("a")).toBe("0123xyz789")
    })

    test("a file reads back what was written, at every offset", async () => {
      const { put, edit } = await setUp()
      await put("a", "0123456789")
      const file = await edit("a")
      await file.write(bytes("xy"), 4)
      const target = new Uint8Array(4)
      expect(await file.read(target, 3)).toBe(4)
      expect(new TextDecoder().decode(target)).toBe("3xy6")
      await file.close()
    })

    test("a read at the end of the file gives what is left, behind it nothing", async () => {
      const { put, edit } = await setUp()
      await put("a", "0123456789")
      const file = await edit("a")
      expect(await file.read(new Uint8Array(8), 7)).toBe(3)
      expect(await file.read(new Uint8Array(8), 10)).toBe(0)
      expect(await file.read(new Uint8Array(8), 1000)).toBe(0)
      expect(await file.read(new Uint8Array(0), 0)).toBe(0)
      await file.close()
    })

    test("a write behind the end leaves zeros between; an empty one changes nothing", async () => {
      const { put, edit, text } = await setUp()
      await put("a", "ab")
      const file = await edit("a")
      await file.write(bytes("z"), 4)
      await file.write(new Uint8Array(0), 100)
      expect(await file.size()).toBe(5)
      await file.close()
      expect(await text("a")).toBe("ab\0\0z")
    })

    test("truncate cuts; what is grown again is zero", async () => {
      const { put, edit, text } = await setUp()
      await put("a", "abcdef")
      const file = await edit("a")
      await file.truncate(2)
      expect(await file.size()).toBe(2)
      await file.truncate(4)
      await file.close()
      expect(await text("a")).toBe("ab\0\0")
    })

    test("overlapping calls on one file do not disturb each other", async () => {
      const { fileSystem, at } = await setUp()
      const file = await fileSystem.open(at("a"), "create")
      const block = (index: number): Uint8Array => new Uint8Array(1000).fill(index + 1)
      await Promise.all(Array.from({ length: 20 }, (_, index) => file.write(block(index), index * 1000)))
      const found = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const target = new Uint8Array(1000)
          await file.read(target, index * 1000)
          return target
        }),
      )
      await file.close()
      for (const [index, target] of found.entries()) expect(target).toEqual(block(index))
    })

    test("open for reading or editing gives undefined for a file that is missing", async () => {
      const { fileSystem, at, put } = await setUp()
      await put("file", "")
      for (const path of ["missing", "missing/below", "file/below"]) {
        expect(await fileSystem.open(at(path), "read")).toBeUndefined()
        expect(await fileSystem.open(at(path), "edit")).toBeUndefined()
      }
    })

    test("create refuses a file that exists, and one whose directory is missing", async () => {
      const { fileSystem, at, put, text } = await setUp()
      await put("a", "old")
      await expectReason(fileSystem.open(at("a"), "create"), "STORAGE_FAILED")
      await expectReason(fileSystem.open(at("missing/a"), "create"), "STORAGE_FAILED")
      expect(await text("a")).toBe("old")
    })

    test("a file opened for reading refuses writes", async () => {
      const { fileSystem, at, put } = await setUp()
      await put("a", "old")
      const file = await fileSystem.open(at("a"), "read")
      await expectReason(file!.write(bytes("new"), 0), "STORAGE_FAILED")
      await expectReason(file!.truncate(0), "STORAGE_FAILED")
      await file!.close()
    })

    test("a closed file refuses every call; closing it again is no error", async () => {
      const { put, edit } = await setUp()
      await put("a", "old")
      const file = await edit("a")
      await file.close()
      await expectReason(file.read(new Uint8Array(1), 0), "STORAGE_FAILED")
      await expectReason(file.write(bytes("x"), 0), "STORAGE_FAILED")
      await expectReason(file.sync(), "STORAGE_FAILED")
      await expectReason(file.size(), "STORAGE_FAILED")
      await expectReason(file.truncate(0), "STORAGE_FAILED")
      await file.close()
    })

    test("rename replaces the target", async () => {
      const { fileSystem, at, put, text } = await setUp()
      await put("a", "new")
      await put("b", "old")
      await fileSystem.rename(at("a"), at("b"))
      expect([await text("a"), await text("b")]).toEqual([undefined, "new"])
      await expectReason(fileSystem.rename(at("a"), at("b")), "STORAGE_FAILED")
      expect(await text("b")).toBe("new")
    })

    test("link gives a second name, and changes nothing when the target exists", async () => {
      const { fileSystem, at, put, text } = await setUp()
      await put("a", "one")
      await put("b", "two")
      expect(await fileSystem.link(at("a"), at("c"))).toBe(true)
      expect(await fileSystem.link(at("a"), at("b"))).toBe(false)
      await fileSystem.remove(at("a"))
      expect([await text("a"), await text("b"), await text("c")]).toEqual([undefined, "two", "one"])
      await expectReason(fileSystem.link(at("missing"), at("d")), "STORAGE_FAILED")
    })

    test("of many links to one target exactly one is made", async () => {
      const { fileSystem, at, put } = await setUp()
      const names = Array.from({ length: 10 }, (_, index) => `source-${index}`)
      for (const name of names) await put(name, name)
      const made = await Promise.all(names.map((name) => fileSystem.link(at(name), at("target"))))
      expect(made.filter((isMade) => isMade)).toHaveLength(1)
    })

    test("remove takes a file; one that is missing is no error; a directory is one", async () => {
      const { fileSystem, at, put, text } = await setUp()
      await put("a", "one")
      await fileSystem.remove(at("a"))
      await fileSystem.remove(at("a"))
      await fileSystem.remove(at("missing/a"))
      expect(await text("a")).toBeUndefined()
      await fileSystem.makeDirectory(at("directory"))
      await expectReason(fileSystem.remove(at("directory")), "STORAGE_FAILED")
    })

    test("a removed file can be read through handles that were open before", async () => {
      const { fileSystem, at, put, edit } = await setUp()
      await put("a", "one")
      const file = await edit("a")
      await fileSystem.remove(at("a"))
      const target = new Uint8Array(3)
      expect(await file.read(target, 0)).toBe(3)
      await file.close()
    })

    test("makeDirectory makes all levels, also when many are made at once", async () => {
      const { fileSystem, at, put } = await setUp()
      const paths = ["x/y/z", "x/y", "x/y/w", "x/v"]
      await Promise.all(paths.map((path) => fileSystem.makeDirectory(at(path))))
      for (const path of paths) expect((await fileSystem.status(at(path)))?.isDirectory).toBe(true)
      await put("file", "")
      await expectReason(fileSystem.makeDirectory(at("file")), "STORAGE_FAILED")
      await expectReason(fileSystem.makeDirectory(at("file/below")), "STORAGE_FAILED")
    })

    test("removeDirectory takes all that is below; a missing one is no error; a file is one", async () => {
      const { fileSystem, at, put } = await setUp()
      await fileSystem.makeDirectory(at("x/y/z"))
      await put("x/a", "")
      await put("x/y/b", "")
      await put("file", "")
      await fileSystem.removeDirectory(at("x"))
      await fileSystem.removeDirectory(at("x"))
      expect(await fileSystem.list(at(""))).toEqual(["file"])
      await expectReason(fileSystem.removeDirectory(at("file")), "STORAGE_FAILED")
    })

    test("list gives sorted names of files and directories; a missing directory is empty", async () => {
      const { fileSystem, at, put } = await setUp()
      for (const name of ["b", "a", "B", "10", "9"]) await put(name, "")
      await fileSystem.makeDirectory(at("aa"))
      expect(await fileSystem.list(at(""))).toEqual(["10", "9", "B", "a", "aa", "b"])
      expect(await fileSystem.list(at("missing"))).toEqual([])
      await expectReason(fileSystem.list(at("a")), "STORAGE_FAILED")
    })

    test("status tells files from directories, and gives the length", async () => {
      const { fileSystem, directory, at, put } = await setUp()
      await put("a", "12345")
      expect(await fileSystem.status(at("a"))).toMatchObject({ bytes: 5, isDirectory: false })
      expect(await fileSystem.status(directory)).toMatchObject({ isDirectory: true })
      expect(await fileSystem.status(at("missing"))).toBeUndefined()
      expect(await fileSystem.status(at("a/below"))).toBeUndefined()
    })

    test("syncDirectory works on directories only", async () => {
      const { fileSystem, directory, at } = await setUp()
      await fileSystem.syncDirectory(directory)
      await expectReason(fileSystem.syncDirectory(at("missing")), "STORAGE_FAILED")
    })

    test("a directory has one lock; released, it can be taken again", async () => {
      const { fileSystem, directory, at } = await setUp()
      const lock = await fileSystem.lock(directory)
      await expectReason(fileSystem.lock(directory), "DIRECTORY_LOCKED")
      await lock.release()
      const second = await fileSystem.lock(directory)
      // The first holder has nothing to release any more.
      await lock.release()
      await expectReason(fileSystem.lock(directory), "DIRECTORY_LOCKED")
      await second.release()
      await expectReason(fileSystem.lock(at("missing")), "STORAGE_FAILED")
    })
  })
}
