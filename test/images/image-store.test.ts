// What the store of images promises its callers: bytes come back, what repeats is stored once within its kind, zeros cost
// nothing, damage is told by name.

import {
  DirectoryObjectStore,
  type ImageStore,
  type ImageStoreOptions,
  ImageStore as ImageStores,
  imageKey,
  type RegionSource,
} from "@varve/engines/internal"
import { beforeEach, describe, expect, test } from "vitest"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { bytesOfImage, inFile, region, regionBytes } from "./make-regions.ts"

let seams: SimulatedSeams

beforeEach(async () => {
  seams = simulatedSeams(11)
  await seams.fileSystem.makeDirectory("/dumps")
})

async function openImages(options: ImageStoreOptions = {}): Promise<ImageStore> {
  const objectStore = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
  return ImageStores.open(objectStore, seams, options)
}

function packsIn(folder: string): string[] {
  return seams.fileSystem.paths().filter((path) => path.startsWith(`/repository/packs/${folder}/`))
}

async function allOf<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

describe("images", () => {
  test("come back byte for byte: from memory or a file, with their kinds and addresses", async () => {
    const regions = [
      region("code", 1, 2, "t100"),
      { ...region("memory", "z2", 3, "z5", 1, "z1"), address: 2n ** 64n - 4096n },
      { ...region("memory", "z1000"), address: 0 },
      region("other", "t1"),
      region("other", 4, 5, 6, "z1", "t4095"),
    ]
    const images = await openImages()
    const fromMemory = await images.store("resize", regions)
    const fromFile = await images.store("resize", await inFile(seams.fileSystem, "/dumps/1", regions))
    for (const { id } of [fromMemory, fromFile]) {
      const image = await images.load({ name: "resize", id })
      expect(image.regions.map(({ kind, address }) => [kind, address])).toEqual(
        regions.map(({ kind, address }) => [kind, BigInt(address ?? 0)]),
      )
      const loaded = await bytesOfImage(image)
      for (const [i, { bytes }] of regions.entries())
        expect(Buffer.compare(loaded[i]!, bytes), `${i}`).toBe(0)
      const ofSecond = await allOf(image.pieces(1))
      expect(new Set(ofSecond.map(({ region: index }) => index))).toEqual(new Set([1]))
      expect(ofSecond.reduce((sum, { length }) => sum + length, 0)).toBe(regions[1]!.bytes.length)
    }
    await images.loadTo({ name: "resize", id: fromFile.id }, "/dumps/back")
    const whole = Buffer.concat(regions.map(({ bytes }) => bytes))
    expect(Buffer.compare(seams.fileSystem.bytesOf("/dumps/back"), whole)).toBe(0)
    expect(fromMemory.bytes).toBe(whole.length)
    expect([fromFile.chunksNew, fromFile.bytesReused]).toEqual([0, whole.length - fromFile.bytesZero])
  })

  test("what repeats is stored once within its kind, and in packs of that kind", async () => {
    const images = await openImages()
    const regions = [region("code", 1, 2), region("memory", 1, 2)]
    const first = await images.store("a", await inFile(seams.fileSystem, "/dumps/1", regions))
    expect(["code", "memory", "other"].map((folder) => packsIn(folder).length)).toEqual([1, 1, 0])
    // All that was written, though several packs were on their way at the same time.
    const objects = seams.fileSystem.paths().filter((path) => /\.(pack|image)$/.test(path))
    const bytes = objects.reduce((sum, path) => sum + seams.fileSystem.bytesOf(path).length, 0)
    expect(first.bytesNew).toBe(bytes)
    // Blocks 1 and 2, once as code and once as memory: chunks of one kind are none of the other.
    expect(first.bytesReused).toBe(0)
    const second = await images.store("b", [region("memory", 2, 3), region("code", 2, 3)])
    expect(second.bytesReused / second.bytes).toBeGreaterThan(0.3)
    const together = await openImages({ regionKinds: "together" })
    const third = await together.store("c", [region("code", 7, 8), region("memory", 7, 8)])
    expect(third.bytesReused).toBe(regionBytes([7, 8]).length)
    const image = await together.load({ name: "c", id: third.id })
    expect(image.regions.map(({ kind }) => kind)).toEqual(["code", "memory"])
    expect(["code", "memory", "other"].map((folder) => packsIn(folder).length)).toEqual([2, 2, 1])
    // One who comes later finds it all, in packs of every kind.
    const later = await (await openImages()).store("d", [region("code", 1, 2), region("memory", 3)])
    expect(later.bytesReused / later.bytes).toBeGreaterThan(0.5)
  })

  test("zero pages are not stored, however many, and alignment is that of the region", async () => {
    const images = await openImages()
    const none = await images.store("zeros", [region("memory", "z5000")])
    expect([none.chunksNew, none.bytesZero, packsIn("memory")]).toEqual([0, 5_000 * 4096, []])
    expect(none.bytesNew).toBeLessThan(300)
    const image = await images.load({ name: "zeros", id: none.id })
    expect(await allOf(image.pieces())).toEqual([
      { region: 0, offset: 0, length: 5_000 * 4096, bytes: undefined },
    ])
    // More zeros than a slice has.
    const source = region("memory", "t4096", "z3000", 1, "z1500", "t10")
    const mixed = await images.store("zeros", [source])
    expect(mixed.bytesZero).toBe(4500 * 4096)
    expect(await images.verify({ name: "zeros", id: mixed.id })).toMatchObject({ bytes: mixed.bytes })
    const [back] = await bytesOfImage(await images.load({ name: "zeros", id: mixed.id }))
    expect(Buffer.compare(back!, source.bytes)).toBe(0)
  })

  test("are listed by name and age, and what cannot be believed is told apart", async () => {
    const images = await openImages()
    const ids: string[] = []
    for (const name of ["b", "a", "b"]) {
      ids.push((await images.store(name, [region("memory", 1, "z2")])).id)
      await seams.clock.sleep(5)
    }
    const all = await images.list()
    expect(all.images.map(({ name, id }) => [name, id])).toEqual([
      ["a", ids[1]],
      ["b", ids[0]],
      ["b", ids[2]],
    ])
    expect(all.images[0]).toMatchObject({ bytes: 49_152, chunkBytes: 40_960, regionCount: 1 })
    const key = imageKey({ name: "b", id: ids[0]! })
    seams.fileSystem.flip(`/repository/${key}`, 100)
    const { images: left, damaged } = await images.list("b")
    expect([left.map(({ id }) => id), [...damaged.keys()]]).toEqual([[ids[2]], [key]])
    await images.delete({ name: "b", id: ids[0]! })
    expect((await images.list("b")).damaged.size).toBe(0)
    await expect(images.load({ name: "b", id: ids[0]! })).rejects.toMatchObject({
      reason: "SNAPSHOT_NOT_FOUND",
    })
  })

  test("damage is DATA_LOSS that names the object, by verify and before a byte of it is given out", async () => {
    const images = await openImages()
    const { id } = await images.store("a", [region("code", 1, 2, 3)])
    const image = { name: "a", id }
    const whole = await bytesOfImage(await images.load(image))
    const [pack] = packsIn("code")
    seams.fileSystem.flip(pack!, 8 * 60_000)
    // In memory it is right; what is stored is not.
    await expect(images.verify(image)).rejects.toMatchObject({
      reason: "DATA_LOSS",
      message: expect.stringContaining(pack!.slice("/repository/".length)),
    })
    expect(Buffer.compare((await bytesOfImage(await images.load(image)))[0]!, whole[0]!)).toBe(0)
    const fresh = await openImages({ chunkCacheBytes: 0 })
    await expect(fresh.loadTo(image, "/dumps/back")).rejects.toMatchObject({ reason: "DATA_LOSS" })
    expect(seams.fileSystem.paths().filter((path) => path.startsWith("/dumps/"))).toEqual([])
    await seams.fileSystem.remove(pack!)
    await expect(fresh.verify(image)).rejects.toMatchObject({
      reason: "DATA_LOSS",
      message: expect.stringContaining(pack!.slice("/repository/".length)),
    })
  })

  test.each(["write", "sync", "rename"] as const)(
    "an image whose %s to a file fails leaves nothing there",
    async (kind) => {
      const images = await openImages()
      const { id } = await images.store("a", [region("memory", 1, 2)])
      seams.fileSystem.failNth(kind, 1)
      await expect(images.loadTo({ name: "a", id }, "/dumps/back")).rejects.toMatchObject({
        reason: "STORAGE_FAILED",
      })
      expect(seams.fileSystem.paths().filter((path) => path.startsWith("/dumps/"))).toEqual([])
    },
  )

  test("what was read stays in memory within its budget", async () => {
    const images = await openImages({ chunkCacheBytes: 100_000 })
    const { id } = await images.store("a", [region("memory", 1, 2, 3, 4)])
    for (let i = 0; i < 2; i++) await bytesOfImage(await images.load({ name: "a", id }))
    expect(images.cachedBytes).toBeGreaterThan(50_000)
    expect(images.cachedBytes).toBeLessThanOrEqual(100_000)
  })

  test.each([
    ["no regions", []],
    ["a region without bytes", [{ kind: "code", bytes: new Uint8Array(0) }]],
    ["an unknown kind", [{ kind: "stack", bytes: new Uint8Array(1) }]],
    ["an address out of bounds", [{ kind: "code", address: -1, bytes: new Uint8Array(1) }]],
    ["an address that is no whole number", [{ kind: "code", address: 0.5, bytes: new Uint8Array(1) }]],
    ["a range out of bounds", [{ kind: "code", bytes: { path: "/dumps/1", offset: -1, length: 4 } }]],
  ])("%s is refused", async (_, regions) => {
    const images = await openImages()
    await expect(images.store("a", regions as RegionSource[])).rejects.toMatchObject({
      reason: "SETTING_INVALID",
    })
  })

  test("a file that is too short, missing, or changes meanwhile makes no image", async () => {
    const images = await openImages()
    const [source] = await inFile(seams.fileSystem, "/dumps/1", [region("memory", 1)])
    const range = source!.bytes as { path: string; offset: number; length: number }
    for (const bytes of [
      { ...range, length: range.length + 1 },
      { ...range, path: "/dumps/2" },
    ]) {
      await expect(images.store("a", [{ kind: "memory", bytes }])).rejects.toMatchObject({
        reason: "DATA_LOSS",
      })
    }
    const { executor } = seams
    const changing: ImageStore = await ImageStores.open(
      await DirectoryObjectStore.open(seams.fileSystem, "/repository"),
      {
        ...seams,
        executor: {
          run: (job, input, transfer, signal) => {
            if (job.name === "writeImagePack") seams.fileSystem.flip("/dumps/1", 77)
            return executor.run(job, input, transfer, signal)
          },
          close: () => executor.close(),
        },
      },
    )
    await expect(changing.store("a", [source!])).rejects.toMatchObject({
      reason: "DATA_LOSS",
      message: expect.stringContaining("/dumps/1"),
    })
    expect((await images.list()).images).toEqual([])
  })

  test("names are checked, and a closed store refuses", async () => {
    const images = await openImages()
    for (const name of ["", "A", "a/b", "..", "a".repeat(64)]) {
      await expect(images.store(name, [region("code", 1)])).rejects.toMatchObject({
        reason: "SETTING_INVALID",
      })
      await expect(images.list(name)).rejects.toMatchObject({ reason: "SETTING_INVALID" })
    }
    await images.close()
    await expect(images.list()).rejects.toMatchObject({ reason: "ENGINE_CLOSED" })
  })
})
