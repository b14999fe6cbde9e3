// The run files of one partition, shared by the states that use them: the one that is served, one that a restore
// builds, one that a restore has replaced.
//
// A file is deleted when the last holder of its run lets go, unless the directory keeps its files because it is
// being closed. Whole files that were found when the directory was opened stay until `removeUnused`: a restore
// may find that it has the content already. A run is known by the id in its trailer; its name only helps to find
// it, because runs of two timelines may have the same numbers.

import { basename, join } from "node:path"
import { EngineError, isEngineError } from "../base/error.ts"
import type { FileSystem } from "../io/file-system.ts"
import { ARRIVING_SUFFIX, type Arrival } from "./arrival.ts"
import { BlockCache } from "./block-cache.ts"
import { OpenRun } from "./open-run.ts"
import { ReadLane } from "./read-lane.ts"
import {
  isRunFileName,
  isUnfinishedRunFileName,
  type RunFigures,
  runFileName,
  runNumberOfFileName,
} from "./run.ts"
import { RunFile } from "./run-file.ts"
import { runDamage } from "./run-format.ts"
import { UnopenedRun } from "./unopened-run.ts"

/** Names kept for runs that are being written; of those that failed the oldest are forgotten. */
const RESERVED_MAX = 1024

/** What is known of a file that is here. */
interface KnownFile {
  readonly name: string
  /** Identity in its trailer; undefined until it was read. */
  id: string | undefined
  /** Why it could not be read. */
  unreadable: EngineError | undefined
  /** It is being deleted: its name is not free yet. */
  isGoing: boolean
  /** It is not whole, or was not when it was opened. */
  arrival: Arrival | undefined
}

type RunName = Pick<RunFigures, "id" | "level" | "run" | "version">

/** Opens and deletes runs. All methods reject with EngineError `STORAGE_FAILED` when the disk does. */
export class RunDirectory {
  readonly directory: string
  readonly fileSystem: FileSystem
  readonly #onError: (error: unknown) => void
  readonly #cache: BlockCache
  readonly #lane = new ReadLane()
  readonly #files = new Map<string, KnownFile>()
  /** Names of files to come, with the identity of their run. */
  readonly #reserved = new Map<string, string>()
  /** By identity: open and held, and being opened. */
  readonly #runs = new Map<string, OpenRun>()
  readonly #opening = new Map<string, Promise<void>>()
  readonly #background = new Set<Promise<void>>()
  /** Files that were left on their way by an earlier process, and that nobody has taken up yet. */
  readonly #left = new Set<string>()
  #nextRun = 1
  #keepsFiles = false

  private constructor(
    fileSystem: FileSystem,
    directory: string,
    onError: (error: unknown) => void,
    cache: BlockCache,
  ) {
    this.fileSystem = fileSystem
    this.directory = directory
    this.#onError = onError
    this.#cache = cache
  }

  /**
   * Opens `directory`, which must exist. Unfinished files that a crash has left are removed; those of runs on their
   * way stay until `removeUnused`.
   * @param onError hears of files that could not be closed or deleted; that does no harm but to space
   * @param cache where point reads of the runs keep blocks; by default nowhere
   */
  static async open(
    fileSystem: FileSystem,
    directory: string,
    onError: (error: unknown) => void,
    cache: BlockCache = new BlockCache(0),
  ): Promise<RunDirectory> {
    const opened = new RunDirectory(fileSystem, directory, onError, cache)
    for (const name of await fileSystem.list(directory)) {
      if (isUnfinishedRunFileName(name) && name.endsWith(ARRIVING_SUFFIX)) {
        opened.#left.add(name)
      } else if (isUnfinishedRunFileName(name)) {
        await fileSystem.remove(join(directory, name))
      } else if (isRunFileName(name)) {
        opened.#know(name)
        opened.#raise(runNumberOfFileName(name))
      }
    }
    return opened
  }

  /** Whether files of runs are here, those that cannot be read included. */
  get hasFiles(): boolean {
    return this.#files.size > 0
  }

  /** A run number that no run here has or had: ascending from call to call. */
  nextRun(): number {
    return this.#nextRun++
  }

  /** Where a run is to be written: an absolute path that no file here has, kept for the run until it is adopted. */
  pathFor(figures: RunName): string {
    this.#raise(figures.run)
    for (let copy = 0; ; copy++) {
      const name = runFileName(figures, copy)
      if (this.#reserved.get(name) === figures.id) return join(this.directory, name)
      if (this.#files.has(name) || this.#reserved.has(name)) continue
      this.#reserved.set(name, figures.id)
      for (const oldest of this.#reserved.keys()) {
        if (this.#reserved.size <= RESERVED_MAX) break
        this.#reserved.delete(oldest)
      }
      return join(this.directory, name)
    }
  }

  /**
   * Opens the run that was written to `pathFor(figures)`. The caller holds the result.
   * @throws (rejects) EngineError as `open`, and `UnopenedRun` when a read fails; the file is then deleted
   */
  async adopt(figures: RunFigures): Promise<OpenRun> {
    const name = this.#reservedName(figures)
    this.#reserved.delete(name)
    const file = this.#know(name)
    file.id = figures.id
    try {
      return await this.open(figures)
    } catch (error) {
      if (!isEngineError(error, "STORAGE_FAILED")) throw error
      this.#delete(file)
      throw new UnopenedRun(join(this.directory, name), error)
    }
  }

  /**
   * Opens a run whose file is yet to come, to `pathFor(figures)`, which is called for it. The caller holds the result.
   * @param start is called with that path, once, unless the run is open
   * @throws (rejects) EngineError `DATA_LOSS` when it is another run, and what `start` rejects with
   */
  async arrive(figures: RunFigures, start: (path: string) => Promise<Arrival>): Promise<OpenRun> {
    const open = this.#runs.get(figures.id)
    if (open !== undefined) {
      open.retain()
      return open
    }
    const path = this.pathFor(figures)
    const name = basename(path)
    this.#reserved.delete(name)
    this.#left.delete(name + ARRIVING_SUFFIX)
    const file = this.#know(name)
    file.id = figures.id
    let run: OpenRun
    try {
      file.arrival = await start(path)
      run = await this.#openFile(file, figures.id)
    } catch (error) {
      this.#files.delete(name)
      this.#left.add(name + ARRIVING_SUFFIX)
      throw error
    }
    if (sameFigures(run.figures, figures)) return run
    run.release()
    throw runDamage(path, "its figures are not those that the state lists")
  }

  /**
   * Opens a run that a state lists. The caller holds the result.
   * @throws (rejects) EngineError `DATA_LOSS` when the file is missing, damaged or another run; `FORMAT_NEWER`
   */
  async open(figures: RunFigures): Promise<OpenRun> {
    this.#raise(figures.run)
    const run = await this.#find(figures.id, figures)
    if (run === undefined) throw this.#missing(figures)
    if (sameFigures(run.figures, figures)) return run
    const damage = runDamage(run.path, "its figures are not those that the state lists")
    for (const file of this.#files.values()) if (file.id === figures.id) file.unreadable = damage
    run.release()
    throw damage
  }

  /**
   * The run of this identity, when a file of it is here that can be opened. The caller holds the result.
   * Undefined when there is none.
   * @param name where it is looked for first
   */
  async findById(id: string, name?: RunName): Promise<OpenRun | undefined> {
    try {
      const named = name === undefined ? undefined : await this.#find(id, name)
      return named ?? (await this.#find(id, undefined))
    } catch (error) {
      if (isBadFile(error)) return undefined
      throw error
    }
  }

  /** Deletes what is left of runs that were on their way and that nobody has taken up. */
  async removeLeft(): Promise<void> {
    for (const name of [...this.#left]) {
      await this.fileSystem.remove(join(this.directory, name))
      this.#left.delete(name)
    }
  }

  /** Deletes runs that nobody holds and whose identity is not in `keep`. Files that cannot be read stay. */
  async removeUnused(keep: ReadonlySet<string>): Promise<void> {
    await this.removeLeft()
    for (const file of [...this.#files.values()]) {
      await this.#identify(file)
      const { id } = file
      if (id === undefined || file.isGoing || keep.has(id)) continue
      if (this.#runs.has(id) || this.#opening.has(id)) continue
      this.#delete(file)
    }
    await this.#settled()
  }

  /** From now on a run that nobody holds is closed and its file stays. */
  keepFiles(): void {
    this.#keepsFiles = true
  }

  /** `keepFiles`, then waits for what is under way. Runs that are held stay open until they are released. */
  async close(): Promise<void> {
    this.keepFiles()
    await this.#settled()
  }

  /** Opens the run of this identity, or takes a hold on it. `name` says where to look first. */
  async #find(id: string, name: RunName | undefined): Promise<OpenRun | undefined> {
    for (;;) {
      const run = this.#runs.get(id)
      if (run !== undefined) {
        run.retain()
        return run
      }
      const opening = this.#opening.get(id)
      if (opening !== undefined) {
        await opening
        continue
      }
      const file = await this.#locate(id, name)
      if (file === undefined) return undefined
      if (!this.#runs.has(id) && !this.#opening.has(id) && isRun(file, id)) return this.#openFile(file, id)
    }
  }

  async #openFile(file: KnownFile, id: string): Promise<OpenRun> {
    let opened = (): void => undefined
    this.#opening.set(
      id,
      new Promise<void>((resolve) => {
        opened = resolve
      }),
    )
    try {
      const { arrival } = file
      const path = join(this.directory, file.name)
      const runFile =
        arrival === undefined
          ? await RunFile.open(this.fileSystem, path)
          : await RunFile.over(arrival.file, path)
      await readIndex(runFile)
      const onUnheld = (): void => this.#unheld(file, id, runFile)
      const run = new OpenRun(runFile, onUnheld, this.#cache, this.#lane, arrival)
      this.#runs.set(id, run)
      return run
    } catch (error) {
      if (isBadFile(error)) file.unreadable = error
      throw error
    } finally {
      this.#opening.delete(id)
      opened()
    }
  }

  /** The file of this identity. Reads tails that were not read yet, of files with the run's numbers only if given. */
  async #locate(id: string, name: RunName | undefined): Promise<KnownFile | undefined> {
    for (const file of this.#files.values()) if (isRun(file, id)) return file
    for (const file of [...this.#files.values()]) {
      if (name !== undefined && !hasNumbersOf(file.name, name)) continue
      await this.#identify(file)
      if (isRun(file, id)) return file
    }
    return undefined
  }

  async #identify(file: KnownFile): Promise<void> {
    if (file.id !== undefined || file.unreadable !== undefined || file.isGoing) return
    try {
      file.id = (await RunFile.readFigures(this.fileSystem, join(this.directory, file.name))).id
    } catch (error) {
      if (!isBadFile(error)) throw error
      file.unreadable = error
    }
  }

  #missing(figures: RunFigures): EngineError {
    for (const file of this.#files.values()) {
      if (hasNumbersOf(file.name, figures) && file.unreadable !== undefined) return file.unreadable
    }
    const path = join(this.directory, runFileName(figures))
    return new EngineError("DATA_LOSS", `run ${path} with identity ${figures.id} is missing`)
  }

  #reservedName(figures: RunName): string {
    for (const [name, id] of this.#reserved) if (id === figures.id) return name
    return runFileName(figures)
  }

  #know(name: string): KnownFile {
    const file = { name, id: undefined, unreadable: undefined, isGoing: false, arrival: undefined }
    this.#files.set(name, file)
    return file
  }

  #raise(run: number): void {
    this.#nextRun = Math.max(this.#nextRun, run + 1)
  }

  #unheld(file: KnownFile, id: string, runFile: RunFile): void {
    this.#runs.delete(id)
    // A file that contradicts what a state says of it is left for people to look at.
    if (this.#keepsFiles || file.unreadable !== undefined) this.#inBackground(runFile.close())
    else this.#delete(file, runFile)
  }

  #delete(file: KnownFile, runFile?: RunFile): void {
    file.isGoing = true
    this.#inBackground(this.#closeAndRemove(file, runFile))
  }

  async #closeAndRemove(file: KnownFile, runFile: RunFile | undefined): Promise<void> {
    try {
      await runFile?.close()
      const path = join(this.directory, file.name)
      await this.fileSystem.remove(path)
      if (file.arrival !== undefined) await this.fileSystem.remove(path + ARRIVING_SUFFIX)
      this.#files.delete(file.name)
    } finally {
      file.isGoing = false
    }
  }

  #inBackground(work: Promise<void>): void {
    const done = work.catch(this.#onError).finally(() => this.#background.delete(done))
    this.#background.add(done)
  }

  async #settled(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background)
  }
}

/** Reads what finds single keys in a run that was just opened; closes it when it cannot. */
async function readIndex(runFile: RunFile): Promise<void> {
  try {
    await runFile.readIndex()
  } catch (error) {
    await runFile.close()
    throw error
  }
}

function isRun(file: KnownFile, id: string): boolean {
  return file.id === id && file.unreadable === undefined && !file.isGoing
}

/** The file itself is the trouble, not the disk or this process. */
function isBadFile(error: unknown): error is EngineError {
  return isEngineError(error, "DATA_LOSS") || isEngineError(error, "FORMAT_NEWER")
}

function hasNumbersOf(name: string, figures: RunName): boolean {
  return name.startsWith(runFileName(figures).replace(/run$/, ""))
}

function sameFigures(a: RunFigures, b: RunFigures): boolean {
  return (
    a.id === b.id &&
    a.level === b.level &&
    a.run === b.run &&
    a.version === b.version &&
    a.bytes === b.bytes &&
    a.recordsBytes === b.recordsBytes &&
    a.recordCount === b.recordCount &&
    a.tombstoneCount === b.tombstoneCount
  )
}
