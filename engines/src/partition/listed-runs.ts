// What a manifest lists for each run of a state. Usually the run itself, as the repository holds it. But a merged
// run holds nothing that its inputs do not, so until it has been uploaded (behind the snapshots, which never wait
// for it) manifests list its inputs in its place; inputs that the repository does not hold yet are kept until it
// does.
//
//     merge of a, b -> m        manifests list   a, b
//     m uploaded                manifests list   m          a and b may go
//
// Holds: a leaf that is not stored holds its run, so that its file stays; the hold ends when it is stored. However
// long merged runs wait for their upload, the held files are bounded: a merge after which the inputs that have to be
// stored are longer than the merged runs themselves has manifests list those, which is then the shorter upload too.
//
// A repository without deduplication is given every run of a version anew: each is listed itself, always.

import { compareNewestFirst, type RunFigures } from "../runs/run.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { StoredRun } from "../snapshots/manifest.ts"
import type { Repository } from "../snapshots/repository.ts"
import type { MergeUpload, StoreResult } from "../snapshots/run-storage.ts"

/** One run that manifests list. Either it is stored, or its file is held until it is. */
interface Leaf {
  readonly figures: RunFigures
  stored: StoredRun | undefined
  held: OpenRun | undefined
}

export class ListedRuns {
  /** Versions that are sealed and neither committed nor given up: each lists what it was sealed with. */
  draftCount = 0
  readonly #repository: Repository
  readonly #leaves = new Map<string, readonly Leaf[]>()
  /** Leaves that hold their run, or did. */
  readonly #held = new Set<Leaf>()

  /** @param stored what the state file or a manifest says is stored, by the identity of the run it stands for. */
  constructor(repository: Repository, stored: Readonly<Record<string, readonly StoredRun[]>>) {
    this.#repository = repository
    for (const [id, runs] of Object.entries(stored)) {
      this.#leaves.set(
        id,
        runs.map((run) => ({ figures: run, stored: run, held: undefined })),
      )
    }
  }

  /**
   * Stores what the repository lacks of `runs`. @returns what manifests list for them, and what it cost; runs that needed no
   * upload count as bytes that were reused
   */
  async store(runs: readonly OpenRun[]): Promise<Omit<StoreResult, "runs"> & { runs: StoredRun[] }> {
    if (!this.#repository.deduplication) this.#listAllThemselves(runs)
    await this.#giveUpEndangered(runs)
    const leaves = this.#inOrder(runs)
    const missing = leaves.filter((leaf) => leaf.stored === undefined)
    const bytesThere = leaves.reduce((sum, leaf) => sum + (leaf.stored?.bytes ?? 0), 0)
    // An upload of a merged run that ends meanwhile lets go of the leaves that it stands for.
    const files = missing.map(({ held }) => held!)
    for (const file of files) file.retain()
    try {
      const result = await this.#repository.storeRuns(files.map(({ figures, path }) => ({ figures, path })))
      missing.forEach((leaf, i) => {
        leaf.stored = result.runs[i]!
        leaf.held?.release()
        leaf.held = undefined
      })
      const bytesReused = result.bytesReused + bytesThere
      return { ...result, bytesReused, runs: leaves.map(({ stored }) => stored!) }
    } finally {
      for (const file of files) file.release()
    }
  }

  /**
   * Runs for which manifests listed something that garbage collection is about to remove are stored anew; so are those for
   * which something is damaged, when they are here.
   */
  async #giveUpEndangered(runs: readonly OpenRun[]): Promise<void> {
    const listed = this.#inOrder(runs).flatMap(({ stored }) => stored ?? [])
    const { going, damaged } = await this.#repository.endangered(listed)
    if (going.size + damaged.size === 0) return
    for (const run of runs) {
      const leaves = this.#leavesOf(run)
      const isGoing = leaves.some(({ figures }) => going.has(figures.id))
      const isDamaged = run.isLocal && leaves.some(({ figures }) => damaged.has(figures.id))
      if (isGoing || isDamaged) this.#listItself(run)
    }
    this.#dropHolds()
  }

  /**
   * The leaves of runs that are newest first, newest first too. The inputs of a merged run are of lower levels than
   * it; where they would come behind a run of a higher one, the merged run is listed itself.
   */
  #inOrder(runs: readonly OpenRun[]): Leaf[] {
    const leaves: Leaf[] = []
    for (const run of runs) {
      const last = leaves.at(-1)
      const own = this.#leavesOf(run)
      const isBehind =
        last === undefined || own[0] === undefined || compareNewestFirst(last.figures, own[0].figures) < 0
      leaves.push(...(isBehind ? own : this.#listItself(run)))
    }
    return leaves
  }

  /**
   * From now on manifests list the inputs' leaves for `output`; or the output itself, and all runs that are older, when
   * what has to be stored of their leaves is longer, and no draft is about to store those. A merged run is never longer
   * than all that it was made of. Called while all inputs are held by the caller.
   * @param newestFirst the runs of the state, with the output in the place of its inputs
   * @returns whether the output is to be stored by `storeMerged`
   */
  merged(inputs: readonly OpenRun[], output: OpenRun, newestFirst: readonly OpenRun[]): boolean {
    this.#leaves.set(output.figures.id, this.#inOrder(inputs))
    // Drafts may still list the inputs; nobody else does.
    if (this.draftCount === 0) for (const { figures } of inputs) this.#leaves.delete(figures.id)
    // One that is listed itself must not have older ones behind it whose inputs, of lower levels, come before it.
    const older = newestFirst.slice(newestFirst.indexOf(output))
    const isUpload = this.draftCount > 0 || !this.#areShorterThemselves(older)
    if (isUpload && this.#repository.deduplication) return true
    for (const run of older) if (!this.#isListedItself(run)) this.#listItself(run)
    this.#dropHolds()
    return false
  }

  /** Whether manifests list other runs in the place of this one. */
  isListedByInputs(run: OpenRun): boolean {
    return !this.#isListedItself(run)
  }

  /** How many runs a manifest of these would list. */
  countOf(runs: readonly OpenRun[]): number {
    return runs.reduce((count, run) => count + (this.#leaves.get(run.figures.id)?.length ?? 1), 0)
  }

  /**
   * Uploads a merged run; afterwards manifests list it alone. Rejects when it was told to stop, be it too late.
   * @returns false when it has to be uploaded again: it took so long that garbage collection is about to remove some of it
   */
  async storeMerged(output: OpenRun, upload: MergeUpload): Promise<boolean> {
    const { figures, path } = output
    const stored = await this.#repository.storeMergedRun({ figures, path }, upload)
    const isEndangered = (await this.#repository.endangered([stored])).going.size > 0
    // It was merged again, or an older one waits: listed itself, this one would stand above that one's inputs.
    upload.stop.throwIfAborted()
    if (isEndangered) return false
    this.#leaves.set(figures.id, [{ figures, stored, held: undefined }])
    this.#dropHolds()
    return true
  }

  /** Forgets everything about runs other than these. */
  keepOnly(runs: readonly OpenRun[]): void {
    const ids = new Set(runs.map(({ figures }) => figures.id))
    for (const id of this.#leaves.keys()) if (!ids.has(id)) this.#leaves.delete(id)
    this.#dropHolds()
  }

  /** What is stored, for the state file. Runs with a leaf that is not stored are left out. */
  describe(runs: readonly OpenRun[]): Record<string, StoredRun[]> {
    const stored: Record<string, StoredRun[]> = {}
    for (const { figures } of runs) {
      const leaves = this.#leaves.get(figures.id)
      if (leaves === undefined || leaves.some((leaf) => leaf.stored === undefined)) continue
      stored[figures.id] = leaves.map((leaf) => leaf.stored!)
    }
    return stored
  }

  /** Ends all holds. */
  close(): void {
    this.#leaves.clear()
    this.#dropHolds()
  }

  /** Those that are here whole; the others are listed as they are stored, which they were by themselves. */
  #listAllThemselves(runs: readonly OpenRun[]): void {
    for (const run of runs) if (run.isLocal) this.#listItself(run)
    this.#dropHolds()
  }

  #isListedItself({ figures }: OpenRun): boolean {
    const [leaf, second] = this.#leaves.get(figures.id) ?? []
    return leaf === undefined || (second === undefined && leaf.figures.id === figures.id)
  }

  /** Whether listing each of these runs itself means storing no more than listing their leaves does. */
  #areShorterThemselves(runs: readonly OpenRun[]): boolean {
    const unstored = new Set<Leaf>()
    let bytesThemselves = 0
    for (const run of runs) {
      const leaves = this.#leavesOf(run)
      for (const leaf of leaves) if (leaf.stored === undefined) unstored.add(leaf)
      if (!this.#isListedItself(run) || leaves[0]!.stored === undefined) bytesThemselves += run.figures.bytes
    }
    let bytesOfLeaves = 0
    for (const { figures } of unstored) bytesOfLeaves += figures.bytes
    return bytesThemselves <= bytesOfLeaves
  }

  #leavesOf(run: OpenRun): readonly Leaf[] {
    return this.#leaves.get(run.figures.id) ?? this.#listItself(run)
  }

  #listItself(run: OpenRun): readonly Leaf[] {
    run.retain()
    const leaf = { figures: run.figures, stored: undefined, held: run }
    this.#held.add(leaf)
    this.#leaves.set(run.figures.id, [leaf])
    return [leaf]
  }

  /** Releases the files of leaves that nothing lists any more. */
  #dropHolds(): void {
    const listed = new Set<Leaf>()
    for (const leaves of this.#leaves.values()) for (const leaf of leaves) listed.add(leaf)
    for (const leaf of this.#held) {
      if (leaf.held !== undefined && listed.has(leaf)) continue
      leaf.held?.release()
      leaf.held = undefined
      this.#held.delete(leaf)
    }
  }
}
