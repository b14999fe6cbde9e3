// DirectoryObjectStore.create, stopped at every call of the disk: an object is whole or absent, and one whose
// creation was answered with true is there.

import { DirectoryObjectStore } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedFileSystem, SimulatedRandom, untilCrash } from "../simulation/index.ts"

const SEED_COUNT = 16
const DIRECTORY = "/data/repository"
const KEYS = ["packs/a.pack", "packs/b.pack", "stores/s/0/1.manifest", "packs/a.pack"]

const ONE = Uint8Array.of(1)

/** Content that tells its key and its creator, in parts that end within sectors. */
function partsOf(key: string, creator: number): Uint8Array[] {
  const random = new SimulatedRandom(creator * 31 + key.length)
  return [300, 0, 900, 700].map((bytes) => random.bytes(bytes))
}

function contentOf(key: string, creator: number): Buffer {
  return Buffer.concat(partsOf(key, creator))
}

/** What creators were told before the machine stopped: by key, who won. */
type Answers = Map<string, number>

/** Two stores of one directory create the same keys at the same time, with different contents. */
async function createAll(disk: SimulatedFileSystem): Promise<Answers> {
  const winners: Answers = new Map()
  const creator = async (number: number): Promise<void> => {
    const store = await DirectoryObjectStore.open(disk, DIRECTORY)
    for (const key of KEYS) {
      if (!(await store.create(key, partsOf(key, number)))) continue
      expect(winners.has(key), `${key} has one winner`).toBe(false)
      winners.set(key, number)
    }
  }
  await Promise.all([untilCrash(creator(1)), untilCrash(creator(2))])
  return winners
}

async function stepsWithoutCrash(seed: number): Promise<number> {
  const disk = new SimulatedFileSystem({ seed })
  const winners = await createAll(disk)
  expect([...winners.keys()].sort()).toEqual([...new Set(KEYS)].sort())
  return disk.steps
}

/** Checks the promise on the disk that a crash has left, and that the store goes on from there. */
async function checkAfter(disk: SimulatedFileSystem, winners: Answers, hint: string): Promise<void> {
  const store = await DirectoryObjectStore.open(disk, DIRECTORY)
  const listed = (await store.list("")).map(({ key }) => key)
  for (const key of new Set(KEYS)) {
    const found = await store.get(key)
    const isThere = found !== undefined
    const winner = winners.get(key)
    // Without a winner that was told so, either creator may have got through.
    const possible = winner === undefined ? [1, 2] : [winner]
    const isWhole = isThere && possible.some((creator) => contentOf(key, creator).equals(found))
    if (listed.includes(key) !== isThere) throw new Error(`${hint}: ${key} is listed: ${!isThere}`)
    if (isThere !== isWhole) throw new Error(`${hint}: ${key} is damaged`)
    if (winner !== undefined && !isThere) throw new Error(`${hint}: ${key} of creator ${winner} is lost`)
    if ((await store.create(key, [ONE])) === isThere) throw new Error(`${hint}: ${key} was created twice`)
  }
  if (disk.paths().some((path) => path.includes("~drafts"))) throw new Error(`${hint}: drafts are left over`)
}

test("an object is whole or absent after a crash at any step; one that was answered for is there", async () => {
  for (let seed = 0; seed < SEED_COUNT; seed++) {
    const steps = await stepsWithoutCrash(seed)
    for (let step = 1; step <= steps; step++) {
      const disk = new SimulatedFileSystem({ seed })
      disk.crashAt(step)
      const winners = await createAll(disk)
      await checkAfter(disk.restart(), winners, `seed ${seed}, step ${step}, power`)
      await checkAfter(disk.restartProcess(), winners, `seed ${seed}, step ${step}, process`)
    }
  }
})

test("an object answered with false survives as one answered with true does", async () => {
  for (let seed = 0; seed < 200; seed++) {
    const disk = new SimulatedFileSystem({ seed })
    const first = await DirectoryObjectStore.open(disk, DIRECTORY)
    await first.create("a/warm-up", [])
    // The first creator never gets beyond the link: its last step, the sync of the directory, fails.
    disk.failNth("syncDirectory", 1)
    await expect(first.create("a/x", [Uint8Array.of(1)])).rejects.toThrow("simulated fault")
    const second = await DirectoryObjectStore.open(disk, DIRECTORY)
    expect(await second.create("a/x", [Uint8Array.of(2)])).toBe(false)
    const after = await DirectoryObjectStore.open(disk.restart(), DIRECTORY)
    expect(await after.get("a/x"), `seed ${seed}`).toEqual(Uint8Array.of(1))
  }
})

test("a removed object stays removed", async () => {
  for (let seed = 0; seed < 100; seed++) {
    const disk = new SimulatedFileSystem({ seed })
    const store = await DirectoryObjectStore.open(disk, DIRECTORY)
    await store.create("a/x", [Uint8Array.of(1)])
    await store.remove("a/x")
    const after = await DirectoryObjectStore.open(disk.restart(), DIRECTORY)
    expect(await after.get("a/x"), `seed ${seed}`).toBeUndefined()
  }
})
