// Who may add versions to a partition: the owner of the highest epoch, and nobody else, with a store that has no
// compare-and-swap and no clock. An owner owns the partition as long as its claim is there; who takes over removes it.
//
//   take     1  list owner/                        the highest epoch so far
//            2  create <epoch>.claim               one above it; above that one when it is taken
//            3  remove every lower claim           their owners have lost the partition from here on
//            4  list the partition                 whoever sees a higher epoch has lost it already
//            5  create <epoch>.inheritance         the versions of 4 that count; no others of earlier epochs ever will
//            6  read the own claim                 it is there: every later owner's step 4 comes after step 5
//            7  remove lower inheritances          the own one says all
//
//   commit   1  create the manifest, under a key that names the epoch
//            2  read the own claim                 it is there: every later owner's step 4 comes after 1 and finds it
//
// The proof, and what a crash at each step leaves, stand in README.md. Whatever goes wrong with a claim (it was removed
// by hand, it is damaged) ends an ownership and never prolongs one.

import { EngineError, isEngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { Random } from "../io/random.ts"
import { CLAIM_BYTES_MAX, decodeClaim, encodeClaim, OWNER_NAME_CHARACTERS_MAX } from "./claim.ts"
import { encodeInheritance, type Inheritance, inherits, makeInheritance } from "./inheritance.ts"
import type { Manifest, VersionName } from "./manifest.ts"
import { highestEpoch, type PartitionListings } from "./partition-listing.ts"
import { manifestKey, type OwnerKey, ownerKey, ownerPrefix, parseOwnerKey } from "./repository-keys.ts"

/** Others that claim at the same time, one after the other. */
const CLAIM_ATTEMPTS_MAX = 100
const OWNER_IDENTITY_BYTES = 16

export interface OwnershipHost {
  readonly objectStore: ObjectStore
  readonly listings: PartitionListings
  readonly clock: Clock
  readonly random: Random
  /** Writes a manifest. @throws (rejects) EngineError `VERSION_EXISTS` */
  commit(manifest: Manifest): Promise<void>
}

/** What one owner takes. */
export interface OwnedPartition {
  readonly store: string
  readonly partition: number
  /** Who takes it, for people: host and process. */
  readonly ownerName: string
  /** Called when another owner has taken the partition, and once more when its name is known. */
  readonly onLost: (error: EngineError) => void
}

interface TakenEpoch {
  readonly epoch: number
  readonly claim: Uint8Array
  readonly inheritance: Inheritance
}

export class Ownership {
  readonly epoch: number
  readonly #host: OwnershipHost
  readonly #owned: OwnedPartition
  readonly #claim: Uint8Array
  readonly #inheritance: Inheritance
  #loss: EngineError | undefined

  private constructor(host: OwnershipHost, owned: OwnedPartition, taken: TakenEpoch) {
    this.epoch = taken.epoch
    this.#host = host
    this.#owned = owned
    this.#claim = taken.claim
    this.#inheritance = taken.inheritance
  }

  /**
   * Takes the partition: its owner up to now, if there is one, can commit nothing any more.
   * @throws (rejects) EngineError `OWNER_FENCED` when another owner takes it at the same time, `STORE_NAME_INVALID`,
   * `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`, `STORAGE_FULL`
   */
  static async take(host: OwnershipHost, owned: OwnedPartition): Promise<Ownership> {
    for (let least = 1; ; ) {
      const { epoch, claim, earlier } = await createClaim(host, owned, least)
      const found = await inherit(host, owned, epoch)
      if (typeof found === "number") {
        least = found
        continue
      }
      const ownership = new Ownership(host, owned, { epoch, claim, inheritance: found })
      await ownership.check()
      await removeOwnerObjects(host, owned, earlier, "inheritance")
      return ownership
    }
  }

  /** Why nothing can be committed any more; undefined while the partition is owned, as far as is known. */
  get loss(): EngineError | undefined {
    return this.#loss
  }

  /** The highest epoch under which versions were written that the owner found; 0 when there were none. */
  get inheritedEpoch(): number {
    return highestEpoch(this.#inheritance.versions)
  }

  /**
   * Makes a version, which counts for ever when this resolves. When it rejects with `OWNER_FENCED`, the next owner may
   * have found the version in time, and then it counts all the same.
   * @throws (rejects) EngineError `OWNER_FENCED`, `VERSION_EXISTS`, and as `Repository.commit`
   */
  async commit(manifest: Omit<Manifest, "epoch">): Promise<void> {
    if (this.#loss !== undefined) throw this.#loss
    const { store, partition } = this.#owned
    const written = { ...manifest, epoch: this.epoch }
    // Keys of other epochs are others: what is there already does not stop the creation.
    if (inherits(this.#inheritance, manifest)) await this.#checkAbsent(written)
    await this.#host.commit(written)
    try {
      await this.check()
    } catch (error) {
      const key = manifestKey(store, partition, written)
      // Left there it is garbage, and no version: a failure of this changes nothing.
      if (this.#loss !== undefined) await this.#withdraw(key).catch(() => undefined)
      throw error
    }
  }

  /**
   * Resolves when the partition was still owned at some moment after the call. One read of a small object.
   * @throws (rejects) EngineError `OWNER_FENCED`; `REPOSITORY_FAILED` when nobody knows
   */
  async check(): Promise<void> {
    if (this.#loss !== undefined) throw this.#loss
    const { store, partition } = this.#owned
    const key = ownerKey(store, partition, { epoch: this.epoch, what: "claim" })
    const source = await this.#host.objectStore.get(key, { offset: 0, bytes: CLAIM_BYTES_MAX })
    if (source !== undefined && Buffer.compare(source, this.#claim) === 0) return
    const isFirst = this.#loss === undefined
    this.#loss ??= lossOf(this.#owned, this.epoch)
    if (isFirst) {
      this.#owned.onLost(this.#loss)
      const successor = await nameOfNext(this.#host, this.#owned, this.epoch)
      this.#loss = lossOf(this.#owned, this.epoch, successor)
      if (successor !== undefined) this.#owned.onLost(this.#loss)
    }
    throw this.#loss
  }

  /** @throws (rejects) EngineError `VERSION_EXISTS` when a version that counts has the name already */
  async #checkAbsent({ timeline, version }: Manifest): Promise<void> {
    const { store, partition } = this.#owned
    const { manifests } = await this.#host.listings.list(store, partition)
    if (!manifests.some((each) => each.timeline === timeline && each.version === version)) return
    throw versionExists(store, partition, { timeline, version })
  }

  /** Removes the manifest that came too late, when it is certain that it did. */
  async #withdraw(key: string): Promise<void> {
    const { store, partition } = this.#owned
    const { objectStore, listings } = this.#host
    const removable = await listings.removable(store, partition)
    if (removable.some(({ object }) => object.key === key)) await objectStore.remove(key)
  }
}

/** Steps 1 to 3. `earlier`: the objects of owners that were there before. */
async function createClaim(
  host: OwnershipHost,
  { store, partition, ownerName }: OwnedPartition,
  least: number,
): Promise<{ epoch: number; claim: Uint8Array; earlier: OwnerKey[] }> {
  const { objectStore, clock, random } = host
  const earlier = await listOwners(host, { store, partition })
  const first = Math.max(least, highestEpoch(earlier) + 1)
  const owner = Buffer.from(random.bytes(OWNER_IDENTITY_BYTES)).toString("hex")
  const name = ownerName.slice(0, OWNER_NAME_CHARACTERS_MAX)
  for (let epoch = first; epoch < first + CLAIM_ATTEMPTS_MAX; epoch++) {
    const claim = encodeClaim({ epoch, owner, name, claimedMs: clock.nowMs() })
    const key = { epoch, what: "claim" } as const
    if (await objectStore.create(ownerKey(store, partition, key), [claim])) {
      await removeOwnerObjects(host, { store, partition }, earlier, "claim")
      return { epoch, claim, earlier }
    }
    earlier.push(key)
  }
  throw new EngineError(
    "OWNER_FENCED",
    `partition ${partition} of store ${store} was claimed by ${CLAIM_ATTEMPTS_MAX} others at the same time`,
  )
}

/**
 * Steps 4 and 5: what is inherited. A number instead: the least epoch that may be taken, when versions are there that
 * were written under the present one or a later one though no owner of it was (somebody has removed its objects).
 */
async function inherit(
  { objectStore, listings, clock }: OwnershipHost,
  owned: OwnedPartition,
  epoch: number,
): Promise<Inheritance | number> {
  const { store, partition } = owned
  const { manifests, superseded, owners } = await listings.list(store, partition)
  if (highestEpoch(owners) > epoch) throw lossOf(owned, epoch)
  const written = Math.max(highestEpoch(manifests), highestEpoch(superseded))
  if (written >= epoch) return written + 1
  const inheritance = makeInheritance(epoch, clock.nowMs(), manifests)
  const key = ownerKey(store, partition, { epoch, what: "inheritance" })
  if (!(await objectStore.create(key, [encodeInheritance(inheritance)]))) throw lossOf(owned, epoch)
  listings.remember(key, inheritance)
  return inheritance
}

async function listOwners(
  { objectStore }: OwnershipHost,
  { store, partition }: Pick<OwnedPartition, "store" | "partition">,
): Promise<OwnerKey[]> {
  const objects = await objectStore.list(ownerPrefix(store, partition))
  return objects.flatMap(({ key }) => parseOwnerKey(key) ?? [])
}

async function removeOwnerObjects(
  { objectStore }: OwnershipHost,
  { store, partition }: Pick<OwnedPartition, "store" | "partition">,
  keys: readonly OwnerKey[],
  what: OwnerKey["what"],
): Promise<void> {
  for (const key of keys) if (key.what === what) await objectStore.remove(ownerKey(store, partition, key))
}

/** Who owns the partition now, for people; undefined when that cannot be told. */
async function nameOfNext(
  host: OwnershipHost,
  owned: OwnedPartition,
  lost: number,
): Promise<string | undefined> {
  const { store, partition } = owned
  try {
    const epoch = highestEpoch((await listOwners(host, owned)).filter(({ what }) => what === "claim"))
    if (epoch <= lost) return undefined
    const key = ownerKey(store, partition, { epoch, what: "claim" })
    const source = await host.objectStore.get(key, { offset: 0, bytes: CLAIM_BYTES_MAX })
    return source === undefined ? undefined : `${decodeClaim(source, key).name}, epoch ${epoch}`
  } catch (error) {
    // Who it is only helps people: what cannot be read is left out.
    if (isEngineError(error)) return undefined
    throw error
  }
}

function lossOf({ store, partition }: OwnedPartition, epoch: number, next?: string): EngineError {
  const who = next === undefined ? "another owner" : `another owner (${next})`
  return new EngineError(
    "OWNER_FENCED",
    `partition ${partition} of store ${store} was taken over by ${who}; its epoch here is ${epoch}: ask that one`,
  )
}

/** The error of a version whose name another one has. */
export function versionExists(
  store: string,
  partition: number,
  { timeline, version }: VersionName,
): EngineError {
  return new EngineError(
    "VERSION_EXISTS",
    `version ${version} of partition ${partition} of store ${store} exists on timeline ${timeline} already`,
  )
}
