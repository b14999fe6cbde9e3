// Files of a partition and its repository are cut, lost, emptied, exchanged, replaced by others of the same name, or
// joined by files that do not belong there. What comes up answers rightly or says DATA_LOSS: see damaged-world.ts.
//
// All lengths of all files: `VARVE_BYTES_A_CUT=1 npx vitest run test/engines/damaged-files.test.ts`.

import { expect, test } from "vitest"
import { type SimulatedFileSystem, SimulatedRandom } from "../simulation/index.ts"
import {
  buildWorld,
  copyOf,
  EXHAUSTIVE_TIMEOUT_MS,
  liveOn,
  putFile,
  Tally,
  type World,
  whereFor,
  worlds,
} from "./damaged-world.ts"
import { expectNoUnhandledRejections } from "./no-unhandled-rejections.ts"

/** A file is cut to one length of so many, by chance. */
const BYTES_A_CUT = Number(process.env["VARVE_BYTES_A_CUT"] ?? 797)
const SEED = 1

expectNoUnhandledRejections()

/** Damages a copy of the world and lives on it, in place and where nothing but the repository is left. */
async function liveTwice(
  world: World,
  what: string,
  damage: (disk: SimulatedFileSystem) => Promise<void> | void,
  tally: Tally,
): Promise<void> {
  for (const where of ["in place", "elsewhere"] as const) {
    const disk = copyOf(world)
    await damage(disk)
    await liveOn(world, disk, where, what, tally)
  }
}

function isManifest(path: string): boolean {
  return path.endsWith(".manifest")
}

test.each(worlds)(
  "%s, durability %s: a file that was cut is found",
  { timeout: BYTES_A_CUT < 50 ? EXHAUSTIVE_TIMEOUT_MS : 60_000 },
  async (name, durability) => {
    const world = await buildWorld(name, durability)
    const random = new SimulatedRandom(SEED)
    const tally = new Tally()
    for (const path of world.paths) {
      const { length } = world.disk.bytesOf(path)
      const lengths = new Set([0, length - 1])
      for (let first = 0; first < length; first += BYTES_A_CUT) {
        lengths.add(Math.min(first + random.integer(BYTES_A_CUT), length - 1))
      }
      for (const bytes of lengths) {
        const disk = copyOf(world)
        disk.truncate(path, bytes)
        const what = `${path} cut from ${length} bytes to ${bytes}`
        await liveOn(world, disk, whereFor(path, random), what, tally)
      }
    }
    expect(tally.refused.DATA_LOSS).toBeGreaterThan(tally.lives / 2)
    process.stdout.write(`${name}, ${durability}: ${world.paths.length} files cut, ${tally}\n`)
  },
)

test.each(worlds)(
  "%s, durability %s: a file that is gone is found, and a version that is gone is no version",
  async (name, durability) => {
    const world = await buildWorld(name, durability)
    const tally = new Tally()
    for (const path of world.paths) {
      const version = isManifest(path) ? Number.parseInt(path.slice(path.lastIndexOf("/") + 1), 10) : 0
      const versions = new Map(world.versions)
      versions.delete(version)
      await liveTwice({ ...world, versions }, `${path} gone`, (disk) => disk.remove(path), tally)
    }
    expect(tally.refused.DATA_LOSS).toBeGreaterThan(0)
  },
)

test.each(worlds)("%s, durability %s: a file of zeros is found", async (name, durability) => {
  const world = await buildWorld(name, durability)
  const tally = new Tally()
  for (const path of world.paths) {
    const zeros = new Uint8Array(world.disk.bytesOf(path).length)
    await liveTwice(world, `${path} all zeros`, (disk) => putFile(disk, path, zeros), tally)
  }
  expect(tally.refused.DATA_LOSS).toBeGreaterThan(world.paths.length / 2)
})

test.each(worlds)(
  "%s, durability %s: two files that changed places are found, or do no harm",
  async (name, durability) => {
    const world = await buildWorld(name, durability)
    const tally = new Tally()
    for (const [index, path] of world.paths.entries()) {
      for (const other of [world.paths[index + 1], world.paths[index + 4]]) {
        if (other === undefined) continue
        const exchange = async (disk: SimulatedFileSystem): Promise<void> => {
          await putFile(disk, path, world.disk.bytesOf(other))
          await putFile(disk, other, world.disk.bytesOf(path))
        }
        await liveTwice(world, `${path} and ${other} changed places`, exchange, tally)
      }
    }
    expect(tally.refused.DATA_LOSS).toBeGreaterThan(0)
  },
)

test.each(worlds)(
  "%s, durability %s: a file of the same name from another life is found",
  async (name, durability) => {
    const world = await buildWorld(name, durability)
    const another = await buildWorld(name, durability, 2)
    const tally = new Tally()
    const shared = world.paths.filter((path) => path.endsWith(".run") && another.paths.includes(path))
    for (const path of shared) {
      const content = another.disk.bytesOf(path)
      await liveTwice(world, `${path} of another life`, (disk) => putFile(disk, path, content), tally)
    }
    expect(shared.length).toBeGreaterThan(0)
    expect(tally.refused.DATA_LOSS).toBeGreaterThan(0)
  },
)

/** Names that mean something, over content that does not. */
async function strangers(world: World): Promise<[path: string, content: Uint8Array][]> {
  const [run, pack] = [".run", ".pack"].map((end) => world.disk.paths().find((path) => path.endsWith(end))!)
  const zeros = new Uint8Array(700)
  return [
    ["/partition/L0.99.9.run", zeros],
    ["/partition/L0.98.9.run", world.disk.bytesOf(run!)],
    ["/partition/L0.97.9.run.tmp", zeros],
    ["/partition/state.new", zeros],
    ["/partition/notes.txt", zeros],
    [pack!.replace(/\w{4}\.pack$/, "0000.pack"), zeros],
    [pack!.replace(/\w{4}\.pack$/, "0001.pack"), world.disk.bytesOf(pack!)],
    ["/repository/notes.txt", zeros],
    ["/repository/stores/notes.txt", zeros],
  ]
}

test.each(worlds)(
  "%s, durability %s: a file that does not belong there does no harm",
  async (name, durability) => {
    const world = await buildWorld(name, durability)
    const tally = new Tally()
    for (const [path, content] of await strangers(world)) {
      await liveTwice(world, `${path} added`, (disk) => putFile(disk, path, content), tally)
    }
    expect(tally.refused).toEqual({ DATA_LOSS: 0, FORMAT_NEWER: 0 })
  },
)
