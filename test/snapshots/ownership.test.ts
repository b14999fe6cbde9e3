// Owners of one partition that take it from one another, while each commits, each of their steps at the object store in
// any order and each one the last: what was acknowledged is listed from then on, what a loser writes is not, and no two
// versions have one name.

import {
  isEngineError,
  type Manifest,
  type Ownership,
  PartitionListings,
  Repository,
} from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { SimulatedRandom, SteppedObjectStore, seedsUpTo, simulatedSeams } from "../simulation/index.ts"
import { makeManifest } from "./make-run.ts"

const STEPS_MAX = 5000

interface Commit {
  readonly epoch: number
  readonly version: number
}

/** What is known of a walk from outside. */
interface Walk {
  readonly seed: number
  readonly store: SteppedObjectStore
  readonly acknowledged: Commit[]
  /** By the epoch of an owner that has taken the partition: what it counts of earlier epochs. */
  readonly frozen: Map<number, readonly Commit[]>
  /** The highest epoch whose owner has the partition. */
  taken: number
  refusedCount: number
}

function nameOf({ epoch, version }: Commit): string {
  return `version ${version} of epoch ${epoch}`
}

async function openAt(walk: Walk, door: string, shutAt?: number): Promise<Repository> {
  return Repository.open(walk.store.door(door, shutAt), simulatedSeams(walk.seed * 100 + door.length))
}

/** What counts, by a listing that is checked against all that was true before it began. */
async function listed(walk: Walk, repository: Repository): Promise<Commit[]> {
  const acknowledged = [...walk.acknowledged]
  const frozen = new Map(walk.frozen)
  const { taken } = walk
  const versions = (await repository.listVersions("default", 0)).map(({ epoch, version }) => ({
    epoch,
    version,
  }))
  const names = versions.map(nameOf)
  expect(names).toEqual(expect.arrayContaining(acknowledged.map(nameOf)))
  for (const [epoch, earlier] of frozen) {
    expect(versions.filter((each) => each.epoch < epoch)).toEqual(earlier)
  }
  if (taken > 0 && !walk.frozen.has(taken)) {
    walk.frozen.set(
      taken,
      versions.filter((each) => each.epoch < taken),
    )
  }
  const numbers = versions.map(({ version }) => version)
  expect(new Set(numbers).size).toBe(numbers.length)
  return versions
}

async function commitNext(walk: Walk, repository: Repository, ownership: Ownership): Promise<void> {
  const versions = await listed(walk, repository)
  const version = 1 + Math.max(0, ...versions.map((each) => each.version))
  const isPast = ownership.epoch < walk.taken
  await ownership.commit(makeManifest([], { version }))
  // A commit that began when the next owner was there cannot succeed.
  expect(isPast, `${nameOf({ epoch: ownership.epoch, version })} came after epoch ${walk.taken}`).toBe(false)
  walk.acknowledged.push({ epoch: ownership.epoch, version })
}

/** The life of an owner: it takes the partition and commits until it is fenced. */
async function own(walk: Walk, repository: Repository, name: string, commitCount: number): Promise<void> {
  try {
    const ownership = await repository.own({
      store: "default",
      partition: 0,
      ownerName: name,
      onLost: () => undefined,
    })
    walk.taken = Math.max(walk.taken, ownership.epoch)
    for (let i = 0; i < commitCount; i++) await commitNext(walk, repository, ownership)
  } catch (error) {
    if (!isEngineError(error, "OWNER_FENCED")) throw error
    walk.refusedCount++
  }
}

function newWalk(seed: number): Walk {
  const store = new SteppedObjectStore(new SimulatedRandom(seed))
  return { seed, store, acknowledged: [], frozen: new Map(), taken: 0, refusedCount: 0 }
}

/** Lets calls go on until every one of `lives` is over or stuck behind a shut door. */
async function run(walk: Walk, lives: readonly Promise<unknown>[]): Promise<void> {
  const failures: unknown[] = []
  for (const life of lives) life.catch((error: unknown) => failures.push(error))
  for (let step = 0; ; step++) {
    const isOver = !(await walk.store.step())
    if (failures.length > 0) throw failures[0]
    if (isOver) return
    expect(step).toBeLessThan(STEPS_MAX)
  }
}

/** The seed and the last steps, where an assertion fails. */
async function explained(walk: Walk, work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    const steps = walk.store.trace.slice(-60).join("\n  ")
    throw new Error(`seed ${walk.seed}; the last steps:\n  ${steps}`, { cause: error })
  }
}

describe("ownership", () => {
  test("owners in any order: what is acknowledged counts for ever, what a loser writes never does", async () => {
    let fencedCount = 0
    for (const seed of seedsUpTo(100)) {
      const walk = newWalk(seed)
      const random = new SimulatedRandom(seed + 7)
      const walking = async (): Promise<void> => {
        const reader = await stepped(walk, openAt(walk, "reader"))
        const lives = []
        for (const name of ["a", "bb", "ccc"].slice(0, 2 + (seed % 2))) {
          const shutAt = random.oneIn(3) ? 2 + random.integer(60) : undefined
          lives.push(openAt(walk, name, shutAt).then((repository) => own(walk, repository, name, 3)))
        }
        const reading = async (): Promise<void> => {
          for (let i = 0; i < 8; i++) await listed(walk, reader)
        }
        await run(walk, [...lives, reading()])
        // Whoever comes last has everything, and can go on.
        await run(walk, [own(walk, await stepped(walk, openAt(walk, "last")), "last", 2)])
        const versions = await stepped(walk, listed(walk, reader))
        expect(walk.acknowledged.at(-1)).toEqual(versions.at(-1))
        fencedCount += walk.refusedCount
      }
      await explained(walk, walking())
    }
    expect(fencedCount).toBeGreaterThan(20)
  })

  test("an owner that stops at any step of a takeover leaves a partition that the next one takes", async () => {
    for (let shutAt = 1; ; shutAt++) {
      const walk = newWalk(shutAt)
      let isWhole = false
      const walking = async (): Promise<void> => {
        await run(walk, [openAt(walk, "a").then((repository) => own(walk, repository, "a", 2))])
        const before = walk.acknowledged.length
        expect(before).toBe(2)
        const door = openAt(walk, "bb", shutAt)
        let isDone = false
        await run(walk, [
          door.then(async (repository) => {
            await own(walk, repository, "bb", 1)
            isDone = true
          }),
        ])
        isWhole = isDone
        const last = await stepped(walk, openAt(walk, "last"))
        await run(walk, [own(walk, last, "last", 1)])
        const versions = await stepped(walk, listed(walk, last))
        expect(versions.length).toBeGreaterThanOrEqual(before + 1)
        // What was begun and is not needed any more is gone.
        const owners = [...walk.store.objects.keys()].filter((key) => key.includes("/owner/"))
        expect(owners).toHaveLength(2)
      }
      await explained(walk, walking())
      if (isWhole) break
    }
  })

  test("an owner that is overtaken before its inheritance is there does not get the partition", async () => {
    const walk = newWalk(1)
    const onLost = (): void => undefined
    const partition = { store: "default", partition: 0, onLost }
    const quick = await stepped(walk, openAt(walk, "quick"))
    const inner = walk.store.door("slow")
    const door = {
      ...inner,
      create: async (key: string, parts: readonly Uint8Array[]): Promise<boolean> => {
        if (key.endsWith(".inheritance")) await quick.own({ ...partition, ownerName: "quick" })
        return inner.create(key, parts)
      },
    }
    const slow = await stepped(walk, Repository.open(door, simulatedSeams(2)))
    const taking = stepped(walk, slow.own({ ...partition, ownerName: "slow" }))
    await expect(taking).rejects.toMatchObject({ reason: "OWNER_FENCED" })
  })

  test("a loser's version is removed by itself, and its next calls ask nobody any more", async () => {
    const walk = newWalk(1)
    const first = await stepped(walk, openAt(walk, "a"))
    const second = await stepped(walk, openAt(walk, "bb"))
    const losses: string[] = []
    const onLost = (error: Error): void => void losses.push(error.message)
    const partition = { store: "default", partition: 0, onLost }
    const loser = await stepped(walk, first.own({ ...partition, ownerName: "host-a:1" }))
    await stepped(walk, loser.commit(makeManifest([], { version: 1 })))
    const winner = await stepped(walk, second.own({ ...partition, ownerName: "host-b:2" }))
    const late = stepped(walk, loser.commit(makeManifest([], { version: 2 })))
    await expect(late).rejects.toMatchObject({ reason: "OWNER_FENCED" })
    await expect(late).rejects.toThrow(/host-b:2, epoch 2/)
    expect(losses.at(-1)).toContain("host-b:2")
    const manifests = [...walk.store.objects.keys()].filter((key) => key.endsWith(".manifest"))
    expect(manifests).toEqual(["stores/default/0/a/0000000000000001-0000000000000001.manifest"])
    const steps = walk.store.trace.length
    await expect(loser.commit(makeManifest([], { version: 3 }))).rejects.toMatchObject({
      reason: "OWNER_FENCED",
    })
    await expect(loser.check()).rejects.toMatchObject({ reason: "OWNER_FENCED" })
    expect(walk.store.trace).toHaveLength(steps)
    const listings = new PartitionListings(walk.store.door("collector"))
    const copy = "stores/default/0/a/0000000000000003-0000000000000001.manifest"
    walk.store.objects.set(copy, new Uint8Array(1))
    const removable = await stepped(walk, listings.removable("default", 0))
    expect(removable.map(({ object }) => object.key)).toEqual([copy])
    // Without the winner's claim nobody knows whether another one is about to inherit it.
    walk.store.objects.delete("stores/default/0/owner/0000000000000002.claim")
    expect(await stepped(walk, listings.removable("default", 0))).toEqual([])
    const gone = stepped(walk, winner.commit(makeManifest([], { version: 2 })))
    await expect(gone).rejects.toMatchObject({ reason: "OWNER_FENCED" })
  })

  test("a number that an earlier owner's version has is refused, and free again when that is deleted", async () => {
    const walk = newWalk(1)
    const repository = await stepped(walk, openAt(walk, "a"))
    const commit = async (manifest: Manifest): Promise<void> => {
      const onLost = (): void => undefined
      const taken = repository.own({ store: "default", partition: 0, ownerName: "a", onLost })
      await stepped(walk, (await stepped(walk, taken)).commit(manifest))
    }
    await commit(makeManifest([], { version: 1 }))
    await expect(commit(makeManifest([], { version: 1 }))).rejects.toMatchObject({ reason: "VERSION_EXISTS" })
    await stepped(walk, repository.deleteVersion("default", 0, { timeline: "a", version: 1 }))
    await commit(makeManifest([], { version: 1 }))
  })

  test("taking a partition costs eight requests, the first time five, and a commit one more than the manifest", async () => {
    const walk = newWalk(1)
    const costs: number[] = []
    const count = async <Result>(work: Promise<Result>): Promise<Result> => {
      const before = walk.store.trace.length
      const result = await stepped(walk, work)
      costs.push(walk.store.trace.length - before)
      return result
    }
    for (const name of ["a", "bb"]) {
      const repository = await stepped(walk, openAt(walk, name))
      const onLost = (): void => undefined
      const ownership = await count(
        repository.own({ store: "default", partition: 0, ownerName: name, onLost }),
      )
      await count(ownership.commit(makeManifest([], { version: ownership.epoch })))
    }
    // Each of the two listings shows here as two.
    expect(costs).toEqual([7, 2, 10, 2])
  })

  test("without the objects of earlier owners the next one still takes an epoch above their versions", async () => {
    const walk = newWalk(1)
    const lives = async (name: string): Promise<void> => {
      await run(walk, [openAt(walk, name).then((repository) => own(walk, repository, name, 2))])
    }
    for (const name of ["a", "bb", "ccc"]) await lives(name)
    for (const key of [...walk.store.objects.keys()]) {
      if (key.includes("/owner/")) walk.store.objects.delete(key)
    }
    await lives("last")
    expect(walk.acknowledged.map(({ epoch }) => epoch)).toEqual([1, 1, 2, 2, 3, 3, 4, 4])
  })

  test("a damaged inheritance fails what depends on it, by its name", async () => {
    const walk = newWalk(1)
    await run(walk, [openAt(walk, "a").then((repository) => own(walk, repository, "a", 1))])
    const key = "stores/default/0/owner/0000000000000001.inheritance"
    const bytes = Buffer.from(walk.store.objects.get(key)!)
    bytes[12]! ^= 1
    walk.store.objects.set(key, bytes)
    const repository = await stepped(walk, openAt(walk, "bb"))
    const listing = stepped(walk, repository.listVersions("default", 0))
    await expect(listing).rejects.toMatchObject({ reason: "DATA_LOSS" })
    await expect(listing).rejects.toThrow(key)
    await expect(listing).rejects.toThrow("until this object is removed from the repository")
  })
})

/** Lets every call go on until `work` is done. */
async function stepped<Result>(walk: Walk, work: Promise<Result>): Promise<Result> {
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  done.catch(() => undefined)
  for (let step = 0; !isDone; step++) {
    await walk.store.step()
    if (step > STEPS_MAX) throw new Error("the call does not end")
  }
  return done
}
