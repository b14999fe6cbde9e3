// Somebody who looks at the repository from outside, through a network that never fails. It owns nothing until all
// is over, and knows nothing of engines: versions are listed, proven and read where they are stored.

import type { EngineName } from "@varve/engines"
import {
  completeVersions,
  GRACE_MS_MIN,
  packBytes,
  RunShelf,
  StoreVersionReader,
  VersionReader,
  type VersionSummary,
  verifyVersions,
} from "@varve/engines/internal"
import { partitionOfKey } from "@varve/proto"
import type { SimulatedClock, SimulatedRandom } from "../simulation/index.ts"
import { type KnownVersion, type KnownVersions, nameOf, type State } from "./known-versions.ts"
import type { Machine } from "./machine.ts"
import { differenceOf, PARTITION_COUNT, Seat, STORE } from "./seat.ts"

/** Collections that are enough to come to an end: packs are rewritten, condemned and removed, and so are their notes. */
const COLLECTIONS_MAX = 12
/** Of each pack that is left at least this part is needed. */
const LIVE_MIN = 0.9

export class Witness {
  readonly machine: Machine

  constructor(machine: Machine) {
    this.machine = machine
  }

  async list(partition: number): Promise<readonly VersionSummary[]> {
    const repository = await this.machine.repository()
    const listed = await repository.listVersions(STORE, partition)
    const damaged = repository.damagedVersions(STORE, partition)
    if (damaged.length > 0) throw new Error(`damaged: ${JSON.stringify(damaged)}`)
    return listed
  }

  /** Everything that the versions need is there, and is what was written. */
  async verify(versions: readonly KnownVersion[]): Promise<void> {
    const repository = await this.machine.repository()
    const manifests = await Promise.all(
      versions.map((each) => repository.readManifest(STORE, each.partition, each)),
    )
    const { damage } = await verifyVersions(this.machine.door, repository, manifests)
    if (damage.length > 0) throw new Error(damage.slice(0, 5).join("; "))
  }

  /** The version holds what was sealed. */
  async compare(known: KnownVersion): Promise<void> {
    const shelf = new RunShelf(await this.machine.repository())
    try {
      const found = await scanned((await this.#reader(shelf, known)).scan())
      const difference = differenceOf(found, known.state)
      if (difference !== undefined) throw new Error(`${nameOf(known)}: ${difference}`)
    } finally {
      await shelf.close()
    }
  }

  /** A version that all partitions have is, as a whole, what was sealed in each. */
  async compareComplete(versions: KnownVersions, random: SimulatedRandom): Promise<void> {
    const partitions = Array.from({ length: PARTITION_COUNT }, (_, partition) => partition)
    const listings = await Promise.all(partitions.map((partition) => this.list(partition)))
    const complete = completeVersions(listings)
    if (complete.length === 0) return
    const chosen = random.pick(complete)
    const parts = partitions.map((partition) => versions.of(partition, chosen))
    const shelf = new RunShelf(await this.machine.repository())
    try {
      const readers: VersionReader[] = []
      for (const part of parts) readers.push(await this.#reader(shelf, part))
      const reader = new StoreVersionReader(readers, (key) => partitionOfKey(key, PARTITION_COUNT))
      const expected = new Map(parts.flatMap(({ state }) => [...state]))
      const difference = differenceOf(await scanned(recordsOf(reader)), expected)
      if (difference !== undefined) throw new Error(`complete version ${chosen.version}: ${difference}`)
    } finally {
      await shelf.close()
    }
  }

  /** Pinned or not. */
  async removeAllBut(count: number, versions: KnownVersions): Promise<void> {
    const repository = await this.machine.repository()
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      const listed = await this.list(partition)
      for (const name of count === 0 ? listed : listed.slice(0, -count)) {
        await repository.unpin(STORE, partition, name)
        await repository.deleteVersion(STORE, partition, name)
        versions.of(partition, name).status = "gone"
      }
      for (const { version, timeline } of await this.list(partition)) {
        versions.of(partition, { version, timeline }).isPinned = undefined
      }
    }
  }

  /** Opens each partition as its next owner, and closes it. */
  async takeOver(engine: EngineName): Promise<void> {
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      const seat = new Seat(partition)
      const opened = await seat.open(this.machine, { engine, durability: "snapshot", restoreMode: "lazy" })
      await opened.close()
    }
  }

  /** Collects, with a grace in between, until there is nothing to do any more. @returns how many packs were rewritten */
  async collectToTheEnd(clock: SimulatedClock): Promise<number> {
    let rewritten = 0
    for (let round = 0; round < COLLECTIONS_MAX; round++) {
      await clock.sleep(GRACE_MS_MIN + 1)
      const result = await this.machine.collect({ graceMs: GRACE_MS_MIN, liveMin: LIVE_MIN })
      const { condemn, remove, rewrite, forget, pardon, condemnNotes } = result
      rewritten += rewrite.length
      const todo = [condemn, remove, rewrite, forget, pardon, condemnNotes]
      if (todo.every((each) => each.length === 0) && round > 3) return rewritten
    }
    throw new Error(`after ${COLLECTIONS_MAX} collections there is still something to collect`)
  }

  /** What versions need, with its entries and the ends of packs, is at least LIVE_MIN of what is stored. */
  async expectNoSlack(): Promise<void> {
    const repository = await this.machine.repository()
    /** By where they were stored. */
    const needed = new Map<string, number>()
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      for (const name of await this.list(partition)) {
        const { runs } = await repository.readManifest(STORE, partition, name)
        for (const { recipe } of runs) needed.set(`${recipe.pack} ${recipe.offset}`, recipe.bytes)
        for (const chunks of await repository.storedRuns.find(runs)) {
          for (let i = 0; i < chunks.count; i++) {
            const [range] = chunks.ranges([i], 1)
            needed.set(`${range!.pack} ${range!.offset}`, chunks.bytesOf(i))
          }
        }
      }
    }
    const packs = await this.machine.door.list("packs/")
    const chunkBytes = [...needed.values()].reduce((sum, bytes) => sum + bytes, 0)
    // A pack needs an entry for each of its chunks, and each pack its end.
    const neededBytes = packBytes(needed.size, chunkBytes) + (packs.length - 1) * packBytes(0, 0)
    const storedBytes = packs.reduce((sum, { bytes }) => sum + bytes, 0)
    if (storedBytes * LIVE_MIN > neededBytes) {
      throw new Error(`versions need ${neededBytes} bytes of packs, and packs have ${storedBytes}`)
    }
  }

  async #reader(shelf: RunShelf, { partition, version, timeline }: KnownVersion): Promise<VersionReader> {
    const repository = await this.machine.repository()
    return VersionReader.open(await repository.readManifest(STORE, partition, { version, timeline }), shelf)
  }
}

type Records = AsyncIterable<readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]>

async function* recordsOf(reader: StoreVersionReader): Records {
  for await (const { records } of reader.scan()) yield records
}

async function scanned(pages: Records): Promise<State> {
  const found = new Map<string, string>()
  for await (const page of pages) {
    for (const { key, value } of page) {
      const name = Buffer.from(key).toString()
      if (found.has(name)) throw new Error(`the scan of a version gave ${name} twice`)
      found.set(name, Buffer.from(value).toString())
    }
  }
  return found
}
