// Images beside a model, with garbage collection and no lock between anybody: two stores with memories of their own store,
// load and delete images that share blocks, one collects meanwhile, hours go by. Every image that is there comes back byte
// for byte at any time; when all are deleted, nothing is left. And the machine stops in every call that changes the disk.

import {
  collectGarbage,
  DirectoryObjectStore,
  EngineError,
  GRACE_MS_MIN,
  type ImageKind,
  type ImageName,
  type ImageStore,
  ImageStore as ImageStores,
  imageKey,
  imageKinds,
  isEngineError,
  PROBES_PREFIX,
  whyKept,
} from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import {
  type SimulatedFileSystem,
  SimulatedRandom,
  type SimulatedSeams,
  seedsUpTo,
  simulatedSeams,
  stopEverywhere,
} from "../simulation/index.ts"
import { bytesOfImage, inFile, region } from "./make-regions.ts"

const STEPS = 70
const BLOCKS = 25
const COLLECTED = process.env["VARVE_EVERY_STEP"] === "1" ? 1 : 5
const COLLECTION = { url: "file:/repository", graceMs: GRACE_MS_MIN, liveMin: 0.7 }
const MINUTE = 60_000
const HOUR = 60 * MINUTE

type Region = ReturnType<typeof region>

interface Kept extends ImageName {
  readonly regions: readonly Region[]
}

async function openImages(
  seams: SimulatedSeams,
  regionKinds: "apart" | "together" = "apart",
): Promise<ImageStore> {
  const objectStore = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
  return ImageStores.open(objectStore, seams, { regionKinds, chunkCacheBytes: 200_000 })
}

async function expectWhole(images: ImageStore, image: Kept): Promise<void> {
  const loaded = await bytesOfImage(await images.load(image))
  for (const [i, { bytes }] of image.regions.entries()) {
    expect(Buffer.compare(loaded[i]!, bytes), `region ${i} of ${image.id}`).toBe(0)
  }
}

/** Objects of the repository but for its root. */
function objects(fileSystem: SimulatedFileSystem): string[] {
  return fileSystem
    .paths()
    .filter((path) => path.startsWith("/repository/") && !/~|\/repository\.json$/.test(path))
}

class World {
  readonly seams: SimulatedSeams
  readonly random: SimulatedRandom
  readonly kept: Kept[] = []
  readonly counts = { stored: 0, reused: 0, removed: 0, rewritten: 0, pardoned: 0, beside: 0 }
  #stores: ImageStore[] = []
  #files = 0

  constructor(seed: number) {
    this.seams = simulatedSeams(seed)
    this.random = new SimulatedRandom(seed + 99)
  }

  async open(): Promise<void> {
    await this.seams.fileSystem.makeDirectory("/dumps")
    this.#stores = [await openImages(this.seams), await openImages(this.seams, "together")]
  }

  async step(): Promise<void> {
    const dice = this.random.integer(100)
    if (dice < 35) await this.store()
    else if (dice < 50) await this.delete()
    else if (dice < 60) await Promise.all([this.store(), this.collect(), this.store()])
    else if (dice < 70) await this.collect()
    else if (dice < 80) await this.check()
    else await this.seams.clock.sleep(this.random.integer(15 * 60) * MINUTE)
  }

  async store(): Promise<void> {
    const regions = Array.from({ length: 1 + this.random.integer(3) }, () => this.#region())
    const from = this.random.oneIn(2)
      ? regions
      : await inFile(this.seams.fileSystem, `/dumps/${++this.#files}`, regions)
    const name = `f${this.random.integer(3)}`
    const { id, bytesReused, chunksReused, chunksNew } = await this.random
      .pick(this.#stores)
      .store(name, from)
    this.kept.push({ name, id, regions })
    this.counts.stored++
    if (chunksReused > 0 && chunksNew > 0 && bytesReused > 0) this.counts.reused++
  }

  async delete(): Promise<void> {
    const [image] = this.kept.splice(this.random.integer(this.kept.length + 1), 1)
    if (image !== undefined) await this.random.pick(this.#stores).delete(image)
  }

  async collect(): Promise<void> {
    const before = this.kept.length
    const result = await this.seams.executor.run(collectGarbage, COLLECTION)
    this.counts.removed += result.remove.length
    this.counts.rewritten += result.rewrite.length
    this.counts.pardoned += result.pardon.length + result.pardonNotes.length
    if (this.kept.length > before) this.counts.beside++
  }

  /** Every image that is kept, in any store's eyes, and no other one. */
  async check(): Promise<void> {
    const images = this.random.pick([...this.#stores, await openImages(this.seams)])
    const { images: listed, damaged } = await images.list()
    expect(damaged.size).toBe(0)
    expect(listed.map(({ id }) => id).sort()).toEqual(this.kept.map(({ id }) => id).sort())
    for (const image of this.kept) await expectWhole(images, image)
  }

  #region(): Region {
    const kind = this.random.pick(imageKinds) as ImageKind
    const parts: (number | string)[] = []
    for (let count = 1 + this.random.integer(4); count > 0; count--) {
      parts.push(this.random.oneIn(3) ? `z${1 + this.random.integer(30)}` : 1 + this.random.integer(BLOCKS))
    }
    if (this.random.oneIn(2)) parts.push(`t${1 + this.random.integer(5000)}`)
    return region(kind, ...parts)
  }
}

const totals = new Map<string, number>()

describe("images and garbage collection", () => {
  test.each(seedsUpTo(3))("no image loses a byte, and in the end nothing is left (seed %i)", async (seed) => {
    const world = new World(seed)
    await world.open()
    for (let step = 0; step < STEPS; step++) {
      try {
        await world.step()
      } catch (error) {
        throw new Error(`seed ${seed}, step ${step}: ${String(error)}`, { cause: error })
      }
    }
    await world.check()
    for (const [what, count] of Object.entries(world.counts))
      totals.set(what, (totals.get(what) ?? 0) + count)
    while (world.kept.length > 0) await world.delete()
    for (let i = 0; i < 6; i++) {
      await world.seams.clock.sleep(2 * GRACE_MS_MIN)
      await world.collect()
    }
    expect(objects(world.seams.fileSystem)).toEqual([])
  })

  test("all of it happened, or the tests above prove nothing", () => {
    expect(totals.size).toBeGreaterThan(0)
    for (const [what, count] of totals) expect(count, what).toBeGreaterThan(0)
  })

  test("the machine stops in any call that changes the disk: images are whole or absent", async () => {
    const seams = simulatedSeams(21)
    const [a, b, c] = [
      [region("code", 1, "z2", 2), region("memory", 3, "t10")],
      [region("code", 1, 2), region("memory", 4, "z40", 3)],
      [region("other", 9), region("code", 2, 1)],
    ]
    const regionsOf = new Map<string, readonly Region[]>()
    const kept: Kept[] = []
    const live = async (): Promise<void> => {
      await seams.fileSystem.makeDirectory("/dumps")
      const images = await openImages(seams)
      for (const [name, regions] of Object.entries({ a, b, c })) {
        regionsOf.set(name, regions!)
        const from = name === "b" ? await inFile(seams.fileSystem, "/dumps/b", regions!) : regions!
        const { id } = await images.store(name, from)
        kept.push({ name, id, regions: regions! })
        if (name === "b") await images.delete(kept.shift()!)
      }
      await images.loadTo(kept[0]!, "/dumps/back")
      await images.close()
    }
    const stops = await stopEverywhere(seams.fileSystem, live, () => [...kept])
    expect(stops.length).toBeGreaterThan(40)
    for (const { disk, promises, number, where } of stops) {
      const after = simulatedSeams(number, { fileSystem: disk.restart(number) })
      const images = await openImages(after)
      const { images: listed, damaged } = await images.list()
      expect(damaged.size, where).toBe(0)
      for (const { id } of promises)
        expect(
          listed.some((each) => each.id === id),
          where,
        ).toBe(true)
      for (const { name, id } of listed)
        await expectWhole(images, { name, id, regions: regionsOf.get(name)! })
      if (after.fileSystem.paths().includes("/dumps/back")) {
        const whole = Buffer.concat(b!.map(({ bytes }) => bytes))
        expect(Buffer.compare(after.fileSystem.bytesOf("/dumps/back"), whole), where).toBe(0)
      }
      // The next life goes on as if nothing had been, and packs that nobody refers to go.
      const again = await images.store("a", a!)
      await expectWhole(images, { name: "a", id: again.id, regions: a! })
      for (const image of (await images.list()).images) await images.delete(image)
      // Of the collections one in so many: a prime, so that all kinds of stops come up.
      if (number % COLLECTED !== 0) continue
      for (let i = 0; i < 3; i++) {
        await after.clock.sleep(2 * GRACE_MS_MIN)
        await after.executor.run(collectGarbage, COLLECTION)
      }
      expect(objects(after.fileSystem), where).toEqual([])
    }
  })

  test("an image that took so long that its chunks were collected meanwhile is taken back", async () => {
    const seams = simulatedSeams(5)
    const first = await openImages(seams)
    const { id } = await first.store("a", [region("memory", 1, 2)])
    let isHeldUp = true
    const slow = await ImageStores.open(await DirectoryObjectStore.open(seams.fileSystem, "/repository"), {
      ...seams,
      executor: {
        run: async (job, input, transfer, signal) => {
          if (isHeldUp && job.name === "writeImagePack") {
            // Blocks 1 and 2 were found before; their only image goes.
            await first.delete({ name: "a", id })
            for (let i = 0; i < 3; i++) {
              await seams.clock.sleep(13 * HOUR)
              await seams.executor.run(collectGarbage, COLLECTION)
            }
            isHeldUp = false
          }
          return seams.executor.run(job, input, transfer, signal)
        },
        close: () => seams.executor.close(),
      },
    })
    const regions = [region("memory", 1, 2), region("memory", 3)]
    await expect(slow.store("b", regions)).rejects.toMatchObject({
      reason: "REPOSITORY_FAILED",
      message: expect.stringContaining("store it again"),
    })
    expect((await slow.list()).images).toEqual([])
    const again = await slow.store("b", regions)
    await expectWhole(slow, { name: "b", id: again.id, regions })
    expect(await slow.verify({ name: "b", id: again.id })).toMatchObject({ bytes: again.bytes })
  })

  test("nothing goes while an image is damaged, and the error names it; deleted, it holds up nobody", async () => {
    const seams = simulatedSeams(6)
    const images = await openImages(seams)
    const { id } = await images.store("a", [region("memory", 1)])
    const key = imageKey({ name: "a", id })
    await seams.clock.sleep(2 * GRACE_MS_MIN)
    seams.fileSystem.flip(`/repository/${key}`, 2000)
    const before = objects(seams.fileSystem)
    await expect(seams.executor.run(collectGarbage, COLLECTION)).rejects.toMatchObject({
      reason: "DATA_LOSS",
      message: expect.stringContaining(key),
    })
    expect(objects(seams.fileSystem)).toEqual(before)
    await images.delete({ name: "a", id })
    expect((await seams.executor.run(collectGarbage, COLLECTION)).condemn).toHaveLength(1)
  })

  test("packs of several kinds are rewritten at the same time, each into its own folder", async () => {
    const seams = simulatedSeams(9)
    const images = await openImages(seams)
    const large = await images.store("a", [region("code", 1, 2, 3, 4), region("memory", 5, 6, 7, 8)])
    const regions = [region("code", 2), region("memory", 6, 7)]
    const small = await images.store("b", regions)
    await images.delete({ name: "a", id: large.id })
    await seams.clock.sleep(2 * GRACE_MS_MIN)
    const { rewrite } = await seams.executor.run(collectGarbage, COLLECTION)
    expect(rewrite.length).toBeGreaterThan(1)
    await seams.clock.sleep(2 * GRACE_MS_MIN)
    expect((await seams.executor.run(collectGarbage, COLLECTION)).remove).toEqual(rewrite)
    const left = objects(seams.fileSystem).filter((path) => path.endsWith(".pack"))
    for (const folder of ["code", "memory"]) {
      expect(
        left.some((path) => path.includes(`/packs/${folder}/`)),
        folder,
      ).toBe(true)
    }
    await expectWhole(await openImages(seams), { name: "b", id: small.id, regions })
    // Who stores now finds them where they are.
    expect((await (await openImages(seams)).store("c", regions)).chunksNew).toBe(0)
  })

  test("why says which images keep a chunk or a pack", async () => {
    const seams = simulatedSeams(7)
    const images = await openImages(seams)
    const a = await images.store("a", [region("memory", 1)])
    const b = await images.store("b", [region("memory", 1, 2)])
    const { map } = await images.load({ name: "b", id: b.id })
    const [shared, own] = [0, map.chunks.count - 1].map((i) =>
      Buffer.from(map.chunks.hashes.subarray(i * 32, i * 32 + 32)).toString("hex"),
    )
    const why = (name: string) => seams.executor.run(whyKept, { url: "file:/repository", name })
    expect(await why(shared!)).toMatchObject({
      chunks: [{ hash: shared, kind: 5, packs: [map.packs[0]] }],
      keepers: [],
      images: [
        { name: "a", id: a.id },
        { name: "b", id: b.id },
      ],
    })
    expect((await why(own!)).images).toEqual([{ name: "b", id: b.id }])
    expect((await why(map.packs[0]!)).images).toHaveLength(2)
    expect((await why(map.packs[1]!)).images).toHaveLength(1)
  })

  test("probes that a crash has left go when they are older than the grace", async () => {
    const seams = simulatedSeams(8)
    await openImages(seams)
    const objectStore = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
    const probe = (digit: string): string => PROBES_PREFIX + digit.repeat(32)
    await objectStore.create(probe("a"), [Buffer.from("old")])
    await seams.clock.sleep(GRACE_MS_MIN)
    await objectStore.create(probe("b"), [Buffer.from("young")])
    const told = await seams.executor.run(collectGarbage, { ...COLLECTION, dryRun: true })
    expect(told.probes).toEqual([probe("a")])
    expect(objects(seams.fileSystem)).toHaveLength(2)
    await seams.executor.run(collectGarbage, COLLECTION)
    expect(objects(seams.fileSystem)).toEqual([`/repository/${probe("b")}`])
  })

  test("a failure in the middle of storing makes no image, and the next call finds what was stored", async () => {
    const regions = [region("code", 1), region("memory", 2), region("other", 3)]
    for (let nth = 1; ; nth++) {
      const seams = simulatedSeams(nth)
      const images = await openImages(seams)
      seams.fileSystem.failNth("sync", nth)
      const stored = await images.store("a", regions).catch((error: unknown) => {
        if (!isEngineError(error)) throw error
        expect(error).toBeInstanceOf(EngineError)
        return undefined
      })
      seams.fileSystem.forgetFaults()
      if (stored !== undefined) {
        expect(nth).toBeGreaterThan(4)
        break
      }
      const { id } = await images.store("a", regions)
      await expectWhole(images, { name: "a", id, regions })
    }
  })
})
