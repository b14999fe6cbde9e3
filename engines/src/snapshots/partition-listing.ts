// What a partition has in the repository, from one listing: versions that count, pins, and the objects of its owners.
//
// Which manifests count is said by the inheritance of the highest epoch (inheritance.ts), which is read once and
// remembered: it never changes. A newer owner removes it after its own is there; then the listing is made again.

import { EngineError, isEngineError } from "../base/error.ts"
import type { ObjectStore, ObjectSummary } from "../io/object-store.ts"
import {
  countingVersions,
  decodeInheritance,
  INHERITANCE_BYTES_MAX,
  type Inheritance,
} from "./inheritance.ts"
import type { VersionName } from "./manifest.ts"
import {
  type OwnerKey,
  ownerKey,
  parseOwnerKey,
  parseVersionKey,
  partitionPrefix,
  type WrittenVersion,
} from "./repository-keys.ts"

/** Inheritances remembered, one a partition. */
const INHERITANCES_MAX = 4096
/** Takeovers in the course of one call. */
const ATTEMPTS_MAX = 10

/** A manifest as a listing shows it. */
export interface ListedManifest extends WrittenVersion {
  readonly object: ObjectSummary
}

export interface PartitionListing {
  /** Those that count, in the order of their keys. */
  readonly manifests: readonly ListedManifest[]
  /** Those that do not: their writers had lost the partition before they were there. */
  readonly superseded: readonly ListedManifest[]
  readonly owners: readonly OwnerKey[]
  /** Names of the version's pins, sorted, "" for one without a name; undefined: it is not pinned. */
  pinsOf(name: VersionName): readonly string[] | undefined
}

export class PartitionListings {
  readonly #objectStore: ObjectStore
  /** By key; the oldest goes first. */
  readonly #inheritances = new Map<string, Inheritance>()

  constructor(objectStore: ObjectStore) {
    this.#objectStore = objectStore
  }

  /** @throws (rejects) EngineError `STORE_NAME_INVALID`, `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED` */
  async list(store: string, partition: number): Promise<PartitionListing> {
    const prefix = partitionPrefix(store, partition)
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const { written, pins, owners } = sort(await this.#objectStore.list(prefix))
      const epoch = highestEpoch(owners.filter(({ what }) => what === "inheritance"))
      const inheritance =
        epoch === 0 ? undefined : await this.#read(ownerKey(store, partition, { epoch, what: "inheritance" }))
      if (epoch > 0 && inheritance === undefined) continue
      const manifests = countingVersions(written, inheritance)
      const counting = new Set(manifests)
      return {
        manifests,
        superseded: written.filter((each) => !counting.has(each)),
        owners,
        pinsOf: (name) => pins.get(nameOf(name)),
      }
    }
    throw new EngineError(
      "REPOSITORY_FAILED",
      `partition ${partition} of store ${store} changed its owner ${ATTEMPTS_MAX} times during one listing`,
    )
  }

  /**
   * Manifests that count no more and never will: they may be removed, by anybody. The claim of the highest inheritance's
   * owner was there after the inheritance was, so every later inheritance is made from that one.
   * @throws (rejects) as `list`
   */
  async removable(store: string, partition: number): Promise<readonly ListedManifest[]> {
    const { superseded, owners } = await this.list(store, partition)
    const epoch = highestEpoch(owners.filter(({ what }) => what === "inheritance"))
    if (superseded.length === 0 || epoch === 0) return []
    const claim = ownerKey(store, partition, { epoch, what: "claim" })
    return (await this.#objectStore.get(claim, { offset: 0, bytes: 1 })) === undefined ? [] : superseded
  }

  /** Spares the reading of one that was just written. */
  remember(key: string, inheritance: Inheritance): void {
    this.#inheritances.set(key, inheritance)
    const [oldest] = this.#inheritances.keys()
    if (this.#inheritances.size > INHERITANCES_MAX && oldest !== undefined) this.#inheritances.delete(oldest)
  }

  /** Undefined when it was removed. */
  async #read(key: string): Promise<Inheritance | undefined> {
    const known = this.#inheritances.get(key)
    if (known !== undefined) return known
    const source = await this.#objectStore.get(key, { offset: 0, bytes: INHERITANCE_BYTES_MAX + 1 })
    if (source === undefined) return undefined
    const inheritance = decode(source, key)
    this.remember(key, inheritance)
    return inheritance
  }
}

/** Which versions count is not known without it, so nothing is guessed: the error says what somebody may decide. */
function decode(source: Uint8Array, key: string): Inheritance {
  try {
    return decodeInheritance(source, key)
  } catch (error) {
    if (!isEngineError(error, "DATA_LOSS")) throw error
    throw new EngineError(
      "DATA_LOSS",
      `${error.message}; until this object is removed from the repository, versions of its partition can neither be ` +
        "listed nor restored; then all of them count again, also some that may have come after their owner was replaced",
      { cause: error },
    )
  }
}

/** The highest epoch of these; 0 when there is none. */
export function highestEpoch(owners: readonly { readonly epoch: number }[]): number {
  return owners.reduce((highest, { epoch }) => Math.max(highest, epoch), 0)
}

function sort(objects: readonly ObjectSummary[]): {
  written: ListedManifest[]
  pins: Map<string, string[]>
  owners: OwnerKey[]
} {
  const written: ListedManifest[] = []
  const pins = new Map<string, string[]>()
  const owners: OwnerKey[] = []
  for (const object of objects) {
    const owner = parseOwnerKey(object.key)
    if (owner !== undefined) owners.push(owner)
    const version = parseVersionKey(object.key)
    if (version?.what === "pin") {
      pins.set(nameOf(version), [...(pins.get(nameOf(version)) ?? []), version.name].sort())
    }
    if (version?.what !== "manifest") continue
    const { timeline, version: number, epoch } = version
    written.push({ timeline, version: number, epoch, object })
  }
  return { written, pins, owners }
}

function nameOf({ timeline, version }: VersionName): string {
  return `${timeline}/${version}`
}
