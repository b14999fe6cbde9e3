// What is known of versions: each with the exact state that was sealed, and whether it counts.
//
//   pending ──acknowledged──► counts ──deleted──► gone
//      └──refused, machine gone, answer lost──► unknown ──listed──► counts
//                                                   └──not listed──► lost
//
// `unknown` is decided by the next listing that nobody takes the partition over during: who takes it over decides what
// of his predecessors counts, and from then on that is so for ever.

import type { VersionName, VersionSummary } from "@varve/engines/internal"

export type State = ReadonlyMap<string, string>
type Status = "pending" | "unknown" | "counts" | "lost" | "gone"

export interface KnownVersion extends VersionName {
  readonly partition: number
  readonly epoch: number
  readonly state: State
  readonly metadata: string
  status: Status
  /** Undefined: a call that set it or took it off was not answered. */
  isPinned: boolean | undefined
  /** How often somebody has asked for its removal. */
  removals: number
}

type Attempt = Omit<KnownVersion, "status" | "isPinned" | "removals">

export class KnownVersions {
  readonly #versions = new Map<string, KnownVersion>()
  /** The last listing of each partition, oldest first; it was right. */
  readonly #listings = new Map<number, readonly VersionSummary[]>()

  /** A version that is asked for. */
  add(version: Attempt): KnownVersion {
    const added: KnownVersion = { ...version, status: "pending", isPinned: false, removals: 0 }
    this.#versions.set(keyOf(version), added)
    return added
  }

  /** Those that count as far as is known. */
  counting(partition: number): KnownVersion[] {
    return [...this.#versions.values()].filter(
      (each) => each.partition === partition && each.status === "counts",
    )
  }

  /** Another version of the same name may be there, if only as a manifest that came too late. */
  isTaken(known: KnownVersion): boolean {
    return this.#named(known.partition, known).some((each) => each !== known && each.status !== "gone")
  }

  of(partition: number, name: VersionName): KnownVersion {
    const found = this.#named(partition, name)
    const best = found.find(({ status }) => status === "counts") ?? found.at(-1)
    if (best === undefined) throw new Error(`nobody ever took version ${nameOf({ partition, ...name })}`)
    return best
  }

  listing(partition: number): readonly VersionSummary[] {
    return this.#listings.get(partition) ?? []
  }

  /**
   * Compares what is listed with what must be, may be and must not be.
   * @param isQuiet nobody is taking the partition over
   */
  check(partition: number, listed: readonly VersionSummary[], isQuiet: boolean): void {
    this.#listings.set(partition, listed)
    const keys = new Set(listed.map((each) => keyOfListed(partition, each)))
    for (const summary of listed) {
      const known = this.#versions.get(keyOfListed(partition, summary))
      if (known === undefined) throw new Error(`nobody ever took ${nameOf({ partition, ...summary })}`)
      if (known.status === "lost") throw new Error(`${nameOf(known)} was lost, and is listed`)
      if (known.status === "gone") throw new Error(`${nameOf(known)} was deleted, and is listed`)
      if (known.isPinned === undefined) known.isPinned = summary.pinned
      if (known.isPinned !== summary.pinned) throw new Error(`${nameOf(known)}: pinned is ${summary.pinned}`)
    }
    for (const known of this.#versions.values()) {
      if (known.partition !== partition) continue
      const isListed = keys.has(keyOf(known))
      if (known.status === "counts" && !isListed) throw new Error(`${nameOf(known)} is not listed`)
      if (known.status === "unknown" && isQuiet) known.status = isListed ? "counts" : "lost"
    }
  }

  #named(partition: number, { timeline, version }: VersionName): KnownVersion[] {
    return [...this.#versions.values()].filter(
      (each) => each.partition === partition && each.timeline === timeline && each.version === version,
    )
  }
}

export function nameOf(
  version: VersionName & { readonly partition: number; readonly epoch?: number },
): string {
  return `version ${version.version} of ${version.timeline}, partition ${version.partition}, epoch ${version.epoch ?? "?"}`
}

/** The same owner may take a number again when it failed or was deleted: each attempt has metadata of its own. */
function keyOf({ partition, timeline, version, epoch, metadata }: Attempt): string {
  return `${partition}/${timeline}/${version}@${epoch} ${metadata}`
}

function keyOfListed(partition: number, { timeline, version, epoch, metadata }: VersionSummary): string {
  return `${partition}/${timeline}/${version}@${epoch} ${Buffer.from(metadata)}`
}
