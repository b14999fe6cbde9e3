// What every engine does with versions, stops and crashes, the same for all of them. The other half of engine-suite.test.ts.

import { engineNames } from "@varve/engines"
import { describe, expect, test } from "vitest"
import { simulatedSeams } from "../simulation/index.ts"
import {
  afterKill,
  afterPowerLoss,
  bytes,
  contents,
  fill,
  openTiny,
  read,
  reasonOf,
  tinyEngine,
} from "./engine-fixture.ts"

describe.each(engineNames)("%s", (name) => {
  describe("versions", () => {
    test("a version is the state of the moment of the call, whatever is written afterwards", async () => {
      const { engine } = await tinyEngine(name)
      await engine.set(bytes("a"), bytes("1"))
      await engine.set(bytes("b"), bytes("1"))
      const snapshot = engine.snapshot({ version: 1 })
      const written = [
        engine.set(bytes("a"), bytes("2")),
        engine.delete(bytes("b")),
        engine.set(bytes("c"), bytes("2")),
      ]
      await Promise.all(written)
      expect((await snapshot).version).toBe(1)
      expect(await contents(engine)).toEqual(
        new Map([
          ["a", "2"],
          ["c", "2"],
        ]),
      )
      await engine.restore({ version: 1 })
      expect(await contents(engine)).toEqual(
        new Map([
          ["a", "1"],
          ["b", "1"],
        ]),
      )
    })

    test("any version can be put back, and the newest by default; metadata comes with it", async () => {
      const { engine } = await tinyEngine(name)
      for (const version of [1, 5, 9]) {
        await engine.set(bytes("a"), bytes(`${version}`))
        await engine.set(bytes(`only ${version}`), bytes("x"))
        await engine.snapshot({ version, metadata: bytes(`offset ${version}`) })
      }
      const restored = await engine.restore({ version: 5 })
      expect(restored.version).toBe(5)
      expect(Buffer.from(restored.metadata).toString()).toBe("offset 5")
      expect([...(await contents(engine)).keys()].sort()).toEqual(["a", "only 1", "only 5"])
      await engine.restore({ version: 9 })
      expect(await read(engine, "a")).toBe("9")
      expect((await engine.restore({ newest: true })).version).toBe(9)
    })

    test("versions ascend, gaps are allowed", async () => {
      const { engine } = await tinyEngine(name)
      await engine.snapshot({ version: 3 })
      for (const version of [3, 2, 1]) {
        expect(await reasonOf(() => engine.snapshot({ version }))).toBe("VERSION_NOT_ASCENDING")
      }
      for (const version of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
        expect(await reasonOf(() => engine.snapshot({ version }))).toBe("VERSION_INVALID")
      }
      await engine.snapshot({ version: 2 ** 53 - 1 })
      expect((await engine.listVersions()).map(({ version }) => version)).toEqual([3, 2 ** 53 - 1])
    })

    test("snapshots that overlap commit in order, each with its own content", async () => {
      const { engine } = await tinyEngine(name)
      const snapshots: Promise<unknown>[] = []
      for (let version = 1; version <= 5; version++) {
        await engine.set(bytes("a"), bytes(`${version}`))
        snapshots.push(engine.snapshot({ version }))
      }
      await Promise.all(snapshots)
      for (let version = 1; version <= 5; version++) {
        await engine.restore({ version, timeline: (await engine.listVersions())[0]!.timeline })
        expect(await read(engine, "a")).toBe(`${version}`)
      }
    })

    test("a restore starts a new timeline: the same number can be taken again, and both stay", async () => {
      const { engine } = await tinyEngine(name)
      for (let version = 1; version <= 3; version++) {
        await engine.set(bytes("a"), bytes(`first ${version}`))
        await engine.snapshot({ version })
      }
      await engine.restore({ version: 1 })
      await engine.set(bytes("a"), bytes("second 2"))
      await engine.snapshot({ version: 2 })
      const versions = await engine.listVersions()
      expect(versions.map(({ version }) => version).sort()).toEqual([1, 2, 2, 3])
      expect(new Set(versions.map(({ timeline }) => timeline)).size).toBe(2)
      await engine.restore({ version: 2 })
      expect(await read(engine, "a")).toBe("second 2")
      const first = versions.find(({ version }) => version === 3)!.timeline
      await engine.restore({ version: 2, timeline: first })
      expect(await read(engine, "a")).toBe("first 2")
      await engine.restore({ version: 3 })
      expect(await read(engine, "a")).toBe("first 3")
    })

    test("a version that is not there, or stands on several other timelines, is refused; the state stays", async () => {
      const { engine } = await tinyEngine(name)
      await engine.snapshot({ version: 1 })
      for (const value of ["x", "y"]) {
        await engine.set(bytes("a"), bytes(value))
        await engine.snapshot({ version: 2 })
        await engine.restore({ version: 1 })
      }
      await engine.set(bytes("a"), bytes("mine"))
      expect(await reasonOf(() => engine.restore({ version: 7 }))).toBe("SNAPSHOT_NOT_FOUND")
      expect(await reasonOf(() => engine.restore({ version: 2 }))).toBe("VERSION_AMBIGUOUS")
      expect(await reasonOf(() => engine.restore({ replaced: "none" }))).toBe("REPLACED_STATE_NOT_FOUND")
      expect(await read(engine, "a")).toBe("mine")
    })

    test("a restore can be taken back by its handle, with what was never in a version", async () => {
      const { engine, seams } = await tinyEngine(name)
      await engine.set(bytes("a"), bytes("1"))
      await engine.snapshot({ version: 1 })
      await engine.set(bytes("a"), bytes("never in a version"))
      const { replaced } = await engine.restore({ version: 1 })
      await engine.restore({ replaced })
      expect(await read(engine, "a")).toBe("never in a version")
      await engine.snapshot({ version: 2 })
      await engine.close()
      const again = await openTiny(name, simulatedSeams(1, { fileSystem: seams.fileSystem }))
      await again.restore({ replaced })
      expect(await read(again, "a")).toBe("never in a version")
    })

    test("one restore at a time, and no snapshot during it", async () => {
      const { engine } = await tinyEngine(name)
      await engine.snapshot({ version: 1 })
      const restore = engine.restore({ version: 1 })
      expect(await reasonOf(() => engine.restore({ version: 1 }))).toBe("RESTORE_IN_PROGRESS")
      expect(await reasonOf(() => engine.snapshot({ version: 2 }))).toBe("RESTORE_IN_PROGRESS")
      await restore
      await engine.snapshot({ version: 2 })
    })

    test("the lineage changes with a restore, not with a snapshot or a clean stop", async () => {
      const { engine, seams } = await tinyEngine(name)
      const first = engine.lineage
      await engine.snapshot({ version: 1 })
      expect(engine.lineage).toBe(first)
      await engine.restore({ version: 1 })
      const second = engine.lineage
      expect(second).not.toBe(first)
      await engine.close()
      const again = await openTiny(name, simulatedSeams(2, { fileSystem: seams.fileSystem }))
      expect(again.lineage).toBe(second)
    })

    test("too much metadata is refused", async () => {
      const { engine } = await tinyEngine(name)
      const metadata = new Uint8Array(1024 * 1024 + 1)
      expect(await reasonOf(() => engine.snapshot({ version: 1, metadata }))).toBe("METADATA_TOO_LARGE")
      await engine.snapshot({ version: 1, metadata: metadata.subarray(1) })
    })

    test("versions are deleted, but not while they are pinned", async () => {
      const { engine } = await tinyEngine(name)
      await engine.snapshot({ version: 1 })
      await engine.snapshot({ version: 2 })
      await engine.pinVersion(1, true)
      expect(await reasonOf(() => engine.deleteVersion(1))).toBe("SNAPSHOT_PINNED")
      await engine.pinVersion(1, false)
      await engine.deleteVersion(1)
      expect((await engine.listVersions()).map(({ version }) => version)).toEqual([2])
      expect(await reasonOf(() => engine.deleteVersion(1))).toBe("SNAPSHOT_NOT_FOUND")
    })
  })

  describe("stops and crashes", () => {
    test("a clean stop keeps everything", async () => {
      const { engine, seams } = await tinyEngine(name)
      await fill(engine, 300)
      await engine.snapshot({ version: 4, metadata: bytes("m") })
      await engine.set(bytes("a"), bytes("after the version"))
      const before = await contents(engine)
      await engine.close()
      const again = await openTiny(name, afterPowerLoss(seams))
      expect(again.recovery).toBe("continued")
      expect(again.position.version).toBe(4)
      expect(Buffer.from(again.position.metadata).toString()).toBe("m")
      expect(await contents(again)).toEqual(before)
      expect(await reasonOf(() => again.snapshot({ version: 4 }))).toBe("VERSION_NOT_ASCENDING")
      await again.snapshot({ version: 5 })
    })

    test("after a kill the newest version is back, exactly", async () => {
      const { engine, seams } = await tinyEngine(name)
      await fill(engine, 300)
      await engine.snapshot({ version: 1 })
      const before = await contents(engine)
      await fill(engine, 1500, "lost")
      const again = await openTiny(name, afterKill(seams, 2))
      expect(again.recovery).toBe("crashed")
      expect(again.lineage).not.toBe(engine.lineage)
      expect(again.position.version).toBe(1)
      expect(await contents(again)).toEqual(before)
    })

    test("after a kill without any version the state is empty", async () => {
      const { engine, seams } = await tinyEngine(name)
      await fill(engine, 1500)
      const again = await openTiny(name, afterKill(seams, 2))
      expect(await contents(again)).toEqual(new Map())
    })

    test("after the directory is lost the repository gives the newest version", async () => {
      const { engine, seams } = await tinyEngine(name)
      await fill(engine, 300)
      await engine.snapshot({ version: 1 })
      const before = await contents(engine)
      await engine.close()
      await seams.fileSystem.removeDirectory("/partition")
      const again = await openTiny(name, simulatedSeams(3, { fileSystem: seams.fileSystem }))
      expect(again.recovery).toBe("new")
      expect(await contents(again)).toEqual(before)
    })

    test("a directory has one owner at a time", async () => {
      const { engine, seams } = await tinyEngine(name)
      expect(await reasonOf(() => openTiny(name, seams))).toBe("DIRECTORY_LOCKED")
      await engine.close()
      await (await openTiny(name, seams)).close()
    })

    test("a closed engine refuses calls", async () => {
      const { engine } = await tinyEngine(name)
      await engine.close()
      await engine.close()
      expect(await reasonOf(() => engine.set(bytes("a"), bytes("1")))).toBe("ENGINE_CLOSED")
      expect(await reasonOf(() => engine.get(bytes("a")))).toBe("ENGINE_CLOSED")
      expect(await reasonOf(() => engine.snapshot({ version: 1 }))).toBe("ENGINE_CLOSED")
    })

    test("after a failed sync of a run no later write is acknowledged; reads go on; reopening gives the version", async () => {
      const { engine, seams } = await tinyEngine(name)
      await engine.set(bytes("a"), bytes("1"))
      await engine.snapshot({ version: 1 })
      await engine.set(bytes("a"), bytes("2"))
      seams.fileSystem.failNth("sync", 1)
      expect(await reasonOf(() => engine.snapshot({ version: 2 }))).toBe("STORAGE_FAILED")
      expect(await reasonOf(() => engine.set(bytes("b"), bytes("1")))).toBe("ENGINE_POISONED")
      expect(await reasonOf(() => engine.snapshot({ version: 2 }))).toBe("ENGINE_POISONED")
      expect(await read(engine, "a")).toBe("2")
      await engine.close()
      const again = await openTiny(name, afterKill(seams, 2))
      expect(again.recovery).toBe("crashed")
      expect(await contents(again)).toEqual(new Map([["a", "1"]]))
    })

    test("a full disk fails the snapshot, keeps reads, and is forgotten when there is space", async () => {
      const { engine, seams } = await tinyEngine(name)
      await engine.set(bytes("a"), bytes("1"))
      seams.fileSystem.setFreeBytes(100)
      expect(await reasonOf(() => engine.snapshot({ version: 1 }))).toBe("STORAGE_FULL")
      expect(await read(engine, "a")).toBe("1")
      expect(await engine.listVersions()).toEqual([])
      seams.fileSystem.setFreeBytes(Number.POSITIVE_INFINITY)
      await engine.set(bytes("a"), bytes("2"))
      await engine.snapshot({ version: 1 })
      await engine.restore({ version: 1 })
      expect(await read(engine, "a")).toBe("2")
    })
  })
})
