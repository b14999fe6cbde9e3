// A restore drill: what a restore of a version would read is read from the repository alone, and proven.
//
//   rehearsal   root ── listings, manifests ── recipes, packs ── the index part of each run      as before a restore's answer
//   proof       every byte of every run, every tail of a pack, claims and inheritances (verify-versions.ts)
//
// Nothing comes from a disk or from what an engine has in memory. Both parts are timed, without the time in which a
// budget or others held them up: a restore has no budget.

import { eachAtOnce } from "../base/each-at-once.ts"
import { EngineError, isEngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import { defineBackgroundJob, type JobContext } from "../io/executor.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { Manifest, StoredRun, VersionName } from "../snapshots/manifest.ts"
import { ManifestReader } from "../snapshots/manifest-reader.ts"
import { PartitionListings } from "../snapshots/partition-listing.ts"
import type { Repository } from "../snapshots/repository.ts"
import { readRepositoryRoot } from "../snapshots/repository-root.ts"
import { StoredRuns } from "../snapshots/stored-runs.ts"
import { isSameVersion } from "../snapshots/timeline.ts"
import { DrillHold } from "./drill-hold.ts"
import { PacedObjectStore } from "./paced-object-store.ts"
import { openListed } from "./run-shelf.ts"
import { verifyVersions } from "./verify-versions.ts"

/** Runs whose index parts are read at the same time. */
const RUNS_AT_ONCE = 4
const MANIFESTS_AT_ONCE = 16

/** A version of a partition. */
export interface DrillTarget extends VersionName {
  readonly partition: number
}

export interface DrillOptions {
  /** URL of the object store. */
  readonly url: string
  readonly store: string
  /** Of different partitions, which a restore would put back together. */
  readonly targets: readonly DrillTarget[]
  /** Of reading; 0: no limit. */
  readonly bytesPerSecond: number
  /** Whether a restore would answer when the index is here: not in mode `eager`. */
  readonly answersFromIndex: boolean
  /** `DrillHold.shared` of whoever the drill gives way to. */
  readonly hold: Int32Array<SharedArrayBuffer>
}

export interface DrillResult {
  /** What is wrong, a line each, with the name of the object or run; sorted. Empty: a restore would succeed. */
  readonly damage: readonly string[]
  /** Ids of the packs in which something is wrong, or which are missing. */
  readonly damagedPacks: readonly string[]
  /** From the repository, requests for the rehearsal included. */
  readonly bytesRead: number
  /** Of the runs of the versions. */
  readonly stateBytes: number
  /** When the last partition sealed its version; 0: unknown, no manifest can be read. */
  readonly createdMs: number
  /** All of it, pauses included. */
  readonly seconds: number
  /** What a restore takes at the speed that was measured; undefined after damage, which ends a restore. */
  readonly recovery: { readonly firstAnswerSeconds: number; readonly completeSeconds: number } | undefined
}

/**
 * Drills once. @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND` when a target was deleted meanwhile, `REPOSITORY_FAILED`,
 * and `ENGINE_CLOSED` when it is told to stop; what was found by then is not told
 */
export const drillRestore = defineBackgroundJob(
  import.meta.url,
  "drillRestore",
  async (context: JobContext, options: DrillOptions): Promise<DrillResult> => {
    const { clock } = context
    const { bytesPerSecond, hold } = options
    const source = await context.objectStore(options.url)
    const objectStore = new PacedObjectStore(source, { bytesPerSecond, clock, hold: new DrillHold(hold) })
    return await new Drill(objectStore, clock, options).run()
  },
)

class Drill {
  readonly #objectStore: PacedObjectStore
  readonly #clock: Clock
  readonly #options: DrillOptions
  readonly #damage = new Set<string>()

  constructor(objectStore: PacedObjectStore, clock: Clock, options: DrillOptions) {
    this.#objectStore = objectStore
    this.#clock = clock
    this.#options = options
  }

  async run(): Promise<DrillResult> {
    const startedMs = this.#clock.monotonicMs()
    const { answersFromIndex } = this.#options
    const opening = await this.#timed(() => this.#readManifests())
    const manifests = opening.result
    const rehearsal = answersFromIndex ? await this.#timed(() => this.#rehearse(manifests)) : { seconds: 0 }
    const proof = await this.#timed(() => this.#prove(manifests))
    if (this.#damage.size > 0) await this.#checkThere()
    const beforeProof = opening.seconds + rehearsal.seconds
    const completeSeconds = beforeProof + proof.seconds
    return {
      damage: [...this.#damage].sort(),
      damagedPacks: proof.result,
      bytesRead: this.#objectStore.bytesRead,
      stateBytes: runsOf(manifests).reduce((sum, { bytes }) => sum + bytes, 0),
      createdMs: manifests.reduce((newest, { createdMs }) => Math.max(newest, createdMs), 0),
      seconds: (this.#clock.monotonicMs() - startedMs) / 1000,
      recovery:
        this.#damage.size > 0
          ? undefined
          : { firstAnswerSeconds: answersFromIndex ? beforeProof : completeSeconds, completeSeconds },
    }
  }

  async #readManifests(): Promise<Manifest[]> {
    const { store, targets, url } = this.#options
    await this.#notes(async () => {
      const root = await readRepositoryRoot(this.#objectStore)
      if (root === undefined) throw new EngineError("DATA_LOSS", `there is no repository in ${url}`)
    })
    const listed = this.#listing()
    const reader = new ManifestReader(this.#objectStore)
    const manifests = await eachAtOnce(targets, MANIFESTS_AT_ONCE, (target) =>
      this.#notes(async () => {
        const manifest = await reader.read((await listed(target)).object.key)
        if (manifest === undefined) throw gone(store, target)
        return manifest
      }),
    )
    return manifests.filter((manifest) => manifest !== undefined)
  }

  /** What a version needed may be gone because it was deleted meanwhile, and collected: a drill may take days. */
  async #checkThere(): Promise<void> {
    const listed = this.#listing()
    await eachAtOnce(this.#options.targets, MANIFESTS_AT_ONCE, (target) => this.#notes(() => listed(target)))
  }

  /** Where the manifest of a target is now. */
  #listing() {
    const { store } = this.#options
    const listings = new PartitionListings(this.#objectStore)
    return async (target: DrillTarget) => {
      const { manifests } = await listings.list(store, target.partition)
      const found = manifests.find((each) => isSameVersion(each, target))
      if (found === undefined) throw gone(store, target)
      return found
    }
  }

  /** Reads what a restore reads before it answers. Chunks are kept for neighbours only, in memory of its own. */
  async #rehearse(manifests: readonly Manifest[]): Promise<void> {
    const repository = freshReader(this.#objectStore, this.#clock)
    await eachAtOnce(runsOf(manifests), RUNS_AT_ONCE, (listed) =>
      this.#notes(async () => {
        const run = await openListed(repository, listed)
        try {
          if (!("hashes" in run.layout.index)) await run.readIndex()
          else for await (const _page of run.hashes());
        } finally {
          await run.close()
        }
      }),
    )
  }

  /** Ids of packs in which something is wrong. */
  async #prove(manifests: readonly Manifest[]): Promise<readonly string[]> {
    const repository = freshReader(this.#objectStore, this.#clock)
    const { damage, damagedPacks } = await verifyVersions(this.#objectStore, repository, manifests)
    for (const line of damage) this.#damage.add(line)
    return damagedPacks
  }

  /** Seconds without pauses. */
  async #timed<Result>(work: () => Promise<Result>): Promise<{ result: Result; seconds: number }> {
    const workMs = (): number => this.#clock.monotonicMs() - this.#objectStore.pausedMs
    const startedMs = workMs()
    const result = await work()
    return { result, seconds: (workMs() - startedMs) / 1000 }
  }

  /** Notes damage, and goes on: what is found later is wrong, too. */
  async #notes<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work()
    } catch (error) {
      if (!isEngineError(error, "DATA_LOSS") && !isEngineError(error, "FORMAT_NEWER")) throw error
      this.#damage.add(error.message)
      return undefined
    }
  }
}

function freshReader(objectStore: ObjectStore, clock: Clock): Pick<Repository, "storedRuns"> {
  return { storedRuns: new StoredRuns(objectStore, clock) }
}

/** No damage: somebody has deleted it since the target was chosen. */
function gone(store: string, { partition, timeline, version }: DrillTarget): EngineError {
  return new EngineError(
    "SNAPSHOT_NOT_FOUND",
    `version ${version} of timeline ${timeline} of partition ${partition} of store ${store} is gone`,
  )
}

/** Each once, however many versions list it. */
function runsOf(manifests: readonly Manifest[]): StoredRun[] {
  const runs = new Map<string, StoredRun>()
  for (const manifest of manifests) for (const run of manifest.runs) runs.set(run.id, run)
  return [...runs.values()]
}
