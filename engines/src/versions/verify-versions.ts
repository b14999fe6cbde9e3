// Proves versions: everything that they need is there, and is what was written.
//
//   manifest (sealed) ── owner's claim and inheritance (sealed) ── recipe of each run (hash)
//     ── tail of each pack (checksums) ── each run once: chunks (SHA-256), blocks (crc32), records (verify-run.ts)
//
// Damage does not end it: of a run that cannot be read every chunk is looked at, and what follows is checked all the
// same. Memory follows RUNS_AT_ONCE, and the recipes of the runs under way.

import { eachAtOnce } from "../base/each-at-once.ts"
import { type EngineError, isEngineError } from "../base/error.ts"
import type { ObjectStore, ObjectSummary } from "../io/object-store.ts"
import { CLAIM_BYTES_MAX, decodeClaim } from "../snapshots/claim.ts"
import { decodeInheritance, INHERITANCE_BYTES_MAX } from "../snapshots/inheritance.ts"
import { readPackEntries } from "../snapshots/load-chunk-index.ts"
import { type Manifest, type StoredRun, storedRunName } from "../snapshots/manifest.ts"
import { readMovedPack } from "../snapshots/moved-pack.ts"
import { readRange } from "../snapshots/read-recipe.ts"
import type { Repository } from "../snapshots/repository.ts"
import {
  ownerPrefix,
  PACKS_PREFIX,
  packKey,
  parseOwnerKey,
  parsePackKey,
} from "../snapshots/repository-keys.ts"
import type { RunChunks } from "../snapshots/run-chunks.ts"
import { openListed } from "./run-shelf.ts"
import { verifyRun } from "./verify-run.ts"

/** Runs that are read at the same time, each in windows of 1 MiB, read by several requests. */
const RUNS_AT_ONCE = 4
const OBJECTS_AT_ONCE = 16
/** Bytes of one request when the chunks of a damaged run are looked at. */
const RANGE_BYTES = 1024 * 1024

export interface Verification {
  /** What is wrong, a line each, with the name of the object or run; sorted. Empty: all is proven. */
  readonly damage: readonly string[]
  /** Ids of the packs in which something is wrong, or which are missing. */
  readonly damagedPacks: readonly string[]
  /** Those that no restore could put back: something is wrong with what their runs are read from. */
  readonly damagedVersions: readonly Manifest[]
  readonly runs: number
  readonly chunks: number
  readonly packs: number
  /** Of the runs. */
  readonly bytes: number
}

/**
 * Proves these versions of one store.
 * @param onProgress hears of bytes as runs are done
 * @throws (rejects) EngineError `REPOSITORY_FAILED` and what else is no damage
 */
export async function verifyVersions(
  objectStore: ObjectStore,
  repository: Pick<Repository, "storedRuns">,
  manifests: readonly Manifest[],
  onProgress: (bytes: number) => void = () => undefined,
): Promise<Verification> {
  const verifier = new Verifier(objectStore, { storedRuns: repository.storedRuns.forProof() })
  const runs = new Map(manifests.flatMap((manifest) => manifest.runs.map((run) => [storedRunName(run), run])))
  await eachAtOnce(runs.values(), RUNS_AT_ONCE, async (run) => {
    await verifier.verifyRun(run)
    onProgress(run.bytes)
  })
  await verifier.verifyPacks()
  const partitions = new Map(manifests.map((each) => [`${each.store}/${each.partition}`, each]))
  for (const { store, partition } of partitions.values()) await verifier.verifyOwners(store, partition)
  return {
    damage: [...verifier.damage].sort(),
    damagedPacks: [...verifier.damagedPacks].sort(),
    damagedVersions: manifests.filter((each) =>
      each.runs.some((run) => verifier.damagedRuns.has(storedRunName(run))),
    ),
    runs: runs.size,
    chunks: verifier.chunkCount,
    packs: verifier.packs.size,
    bytes: [...runs.values()].reduce((sum, run) => sum + run.bytes, 0),
  }
}

class Verifier {
  readonly damage = new Set<string>()
  readonly damagedPacks = new Set<string>()
  /** By `storedRunName`. */
  readonly damagedRuns = new Set<string>()
  /** Ids of the packs that recipes and manifests name. */
  readonly packs = new Set<string>()
  chunkCount = 0
  readonly #objectStore: ObjectStore
  readonly #repository: Pick<Repository, "storedRuns">

  constructor(objectStore: ObjectStore, repository: Pick<Repository, "storedRuns">) {
    this.#objectStore = objectStore
    this.#repository = repository
  }

  async verifyRun(listed: StoredRun): Promise<void> {
    this.packs.add(listed.recipe.pack)
    const isProven = await this.#notes(async () => {
      const run = await openListed(this.#repository, listed)
      try {
        await verifyRun(run)
      } finally {
        await run.close()
      }
    })
    const isFound = await this.#notes(async () => {
      const [chunks] = await this.#repository.storedRuns.find([listed])
      this.chunkCount += chunks!.count
      for (const pack of chunks!.packEnds().keys()) this.packs.add(pack)
      if (!isProven) await this.#verifyChunks(chunks!)
    })
    if (!isProven || !isFound) this.damagedRuns.add(storedRunName(listed))
  }

  /** Every chunk by itself: one that is damaged must not hide another. */
  async #verifyChunks(chunks: RunChunks): Promise<void> {
    const all = Array.from({ length: chunks.count }, (_, i) => i)
    await eachAtOnce(chunks.ranges(all, RANGE_BYTES), OBJECTS_AT_ONCE, (range) =>
      this.#notes(async () => {
        const source = await readRange(this.#objectStore, range)
        for (let i = range.first; i < range.first + range.count; i++) {
          const start = chunks.start(i) - chunks.start(range.first)
          const isWhole = chunks.isChunk(i, source.subarray(start, start + chunks.bytesOf(i)))
          if (!isWhole) this.#note(chunks.damage(i))
        }
      }),
    )
  }

  /** The tail of each pack, from which others learn what it holds. */
  async verifyPacks(): Promise<void> {
    const listed = new Map<string, ObjectSummary>()
    for (const object of await this.#objectStore.list(PACKS_PREFIX)) listed.set(object.key, object)
    // Packs that were rewritten lead to others, which join the end.
    for (const pack of this.packs) {
      await this.#notes(async () => {
        const object = listed.get(packKey(pack))
        if (object !== undefined) await readPackEntries(this.#objectStore, object)
        else {
          const moved = await readMovedPack(this.#objectStore, pack)
          if (moved !== undefined) this.packs.add(moved.into)
        }
      })
    }
  }

  async verifyOwners(store: string, partition: number): Promise<void> {
    const objects = await this.#objectStore.list(ownerPrefix(store, partition))
    await eachAtOnce(objects, OBJECTS_AT_ONCE, ({ key }) =>
      this.#notes(async () => {
        const name = parseOwnerKey(key)
        if (name === undefined) return
        const bytes = (name.what === "claim" ? CLAIM_BYTES_MAX : INHERITANCE_BYTES_MAX) + 1
        const source = await this.#objectStore.get(key, { offset: 0, bytes })
        // An owner that took over meanwhile has removed it.
        if (source === undefined) return
        if (name.what === "claim") decodeClaim(source, key)
        else decodeInheritance(source, key)
      }),
    )
  }

  /** Whether `check` found no damage; what it found is noted. */
  async #notes(check: () => Promise<unknown>): Promise<boolean> {
    try {
      await check()
      return true
    } catch (error) {
      if (!isEngineError(error, "DATA_LOSS") && !isEngineError(error, "FORMAT_NEWER")) throw error
      this.#note(error)
      return false
    }
  }

  #note({ message, object }: EngineError): void {
    this.damage.add(message)
    const pack = object === undefined ? undefined : parsePackKey(object)
    if (pack !== undefined) this.damagedPacks.add(pack)
  }
}
