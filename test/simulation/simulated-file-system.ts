// A disk in memory that does to its users what real ones do, from a seed.
//
//     const disk = new SimulatedFileSystem({ seed })
//     disk.crashAt(17)                     the 17th call and all after it reject with SimulatedCrash
//     …                                    run the code under test until it fails
//     const after = disk.restart()         what power loss left, as a new disk; locks are gone
//     const same = disk.restartProcess()   or: what the end of the process left, which is everything
//
// When a seed fails at night: `disk.trace` has the last calls with their steps, `disk.paths()` and
// `disk.bytesOf(path)` what is there. The same seed and the same calls give the same run.
//
// A failing disk: `failNth(kind, n)` fails the n-th call of that kind from now on. A write that fails was written
// in part; a sync that fails has lost what it should have saved, for ever, although reads still answer it.
// `setFreeBytes(n)` limits the space. `flip` and `truncate` damage what is stored.

import {
  assert,
  type Clock,
  type DirectoryLock,
  EngineError,
  type File,
  type FileStatus,
  type FileSystem,
  type OpenMode,
} from "@varve/engines/internal"
import { type CallKind, type SimulatedCall, SimulatedCalls } from "./simulated-calls.ts"
import { type SimulatedDisk, SimulatedFile } from "./simulated-file.ts"
import { SimulatedFileContent } from "./simulated-file-content.ts"
import { SimulatedRandom } from "./simulated-random.ts"
import { SimulatedSpace } from "./simulated-space.ts"
import { type Place, SimulatedDirectory, SimulatedTree } from "./simulated-tree.ts"

export interface SimulatedFileSystemOptions {
  readonly seed: number
  /** Stamps files; without it, time is the count of steps. */
  readonly clock?: Clock
}

export class SimulatedFileSystem implements FileSystem {
  readonly seed: number
  readonly #clock: Clock | undefined
  readonly #random: SimulatedRandom
  readonly #calls: SimulatedCalls
  readonly #space = new SimulatedSpace()
  readonly #openPaths = new Map<object, string>()
  readonly #disk: SimulatedDisk
  #tree = new SimulatedTree()
  #makingDirectories: Promise<unknown> = Promise.resolve()

  constructor(options: SimulatedFileSystemOptions) {
    this.seed = options.seed
    this.#clock = options.clock
    this.#random = new SimulatedRandom(options.seed)
    this.#calls = new SimulatedCalls(this.#random)
    this.#disk = {
      calls: this.#calls,
      random: this.#random,
      space: this.#space,
      nowMs: () => this.#nowMs(),
      openPaths: this.#openPaths,
    }
  }

  // What tests do to the disk, and what they see of it.

  /** Calls so far; a crash at step `steps + 1` meets the next one. */
  get steps(): number {
    return this.#calls.steps
  }

  get isCrashed(): boolean {
    return this.#calls.isCrashed
  }

  /** The last calls, oldest first. */
  get trace(): readonly string[] {
    return this.#calls.trace
  }

  /** Hears of every call, in the words of `trace`. */
  set onCall(hear: (words: string) => void) {
    this.#calls.onCall = hear
  }

  /** Paths of files that are open, one entry for each time. */
  get openPaths(): readonly string[] {
    return [...this.#openPaths.values()].sort()
  }

  /** Stops the machine at step `step` (counted from 1, from the first call on this disk). */
  crashAt(step: number): void {
    this.#calls.crashAt(step)
  }

  /** Makes the `nth` call of `kind` from now on fail (counted from 1) with `STORAGE_FAILED`. */
  failNth(kind: CallKind, nth: number): void {
    this.#calls.failNth(kind, nth)
  }

  /** Whether every call that was to fail has failed. */
  get wasFaultMet(): boolean {
    return this.#calls.wasFaultMet
  }

  /** Takes back what `failNth` has asked for and no call has met yet. */
  forgetFaults(): void {
    this.#calls.forgetFaults()
  }

  /** Lets files grow by `bytes` in all from now on; `Infinity` gives the space back. */
  setFreeBytes(bytes: number): void {
    this.#space.freeBytes = bytes
  }

  /** Turns over bit `bitIndex` of a stored file; bit 0 is the lowest of the first byte. */
  flip(path: string, bitIndex: number): void {
    this.#content(path).flip(bitIndex)
  }

  /** Cuts a stored file to `bytes`, as damage. */
  truncate(path: string, bytes: number): void {
    this.#content(path).cut(bytes)
  }

  /** A copy of what a file holds now, synced or not. */
  bytesOf(path: string): Uint8Array {
    return this.#content(path).snapshot()
  }

  /** Paths of all files, sorted. */
  paths(): string[] {
    return this.#tree.filePaths()
  }

  /**
   * Stops this disk, when it still runs, and gives the one that power loss leaves. Another `seed` gives another
   * of the states that are possible; several may be asked of one crash.
   */
  restart(seed: number = this.#random.next()): SimulatedFileSystem {
    this.#calls.crashNow()
    return this.#successor(seed, (random) => this.#tree.survive(random))
  }

  /** Stops this disk, when it still runs, and gives the one that a killed process leaves: nothing is lost. */
  restartProcess(seed: number = this.#random.next()): SimulatedFileSystem {
    this.#calls.crashNow()
    return this.#successor(seed, () => this.#tree.keep())
  }

  // The FileSystem.

  open(path: string, mode: "read" | "edit"): Promise<File | undefined>
  open(path: string, mode: "create"): Promise<File>
  open(path: string, mode: OpenMode): Promise<File | undefined> {
    if (mode === "create") return this.#create(path)
    return this.#run("open", `${path} to ${mode}`, () => {
      const node = this.#tree.find(path)
      if (node === undefined) return undefined
      if (node instanceof SimulatedDirectory) throw failed("open", path, "it is a directory")
      return new SimulatedFile(this.#disk, path, node, mode)
    })
  }

  rename(source: string, target: string): Promise<void> {
    return this.#change("rename", `${source} to ${target}`, () => {
      const from = this.#place("rename", source)
      const to = this.#place("rename", target)
      if (from.node === undefined) throw failed("rename", source, "it does not exist")
      if (to.node instanceof SimulatedDirectory) throw failed("rename", source, `${target} is a directory`)
      // Two names of one file stay as they are, as rename(2) has it.
      if (from.node === to.node) return
      this.#releaseSpaceOf(to)
      this.#tree.change([
        { ...to, node: from.node },
        { ...from, node: undefined },
      ])
    })
  }

  link(source: string, target: string): Promise<boolean> {
    return this.#change("link", `${source} to ${target}`, () => {
      const { node } = this.#place("link", source)
      if (!(node instanceof SimulatedFileContent)) throw failed("link", source, "it is no file")
      const to = this.#place("link", target)
      if (to.node !== undefined) return false
      this.#tree.change([{ ...to, node }])
      return true
    })
  }

  remove(path: string): Promise<void> {
    return this.#change("remove", path, () => {
      const place = this.#tree.place(path)
      if (place?.node === undefined) return
      if (place.node instanceof SimulatedDirectory) throw failed("remove", path, "it is a directory")
      this.#releaseSpaceOf(place)
      this.#tree.change([{ ...place, node: undefined }])
    })
  }

  async removeDirectory(path: string): Promise<void> {
    const children = await this.#run("removeDirectory", `${path}: its content first`, () => {
      const node = this.#tree.find(path)
      if (node instanceof SimulatedFileContent) throw failed("remove directory", path, "it is a file")
      return node === undefined ? [] : [...node.names]
    })
    for (const [name, child] of children) {
      if (child instanceof SimulatedDirectory) await this.removeDirectory(`${path}/${name}`)
      else await this.remove(`${path}/${name}`)
    }
    await this.#change("removeDirectory", path, () => {
      const place = this.#tree.place(path)
      if (place?.node !== undefined) this.#tree.change([{ ...place, node: undefined }])
    })
  }

  makeDirectory(path: string): Promise<void> {
    // One after the other, as on the real disk: nobody relies on a name that another has not synced yet.
    const made = this.#makingDirectories.then(() => this.#makeDurably(path))
    this.#makingDirectories = made.catch(() => undefined)
    return made
  }

  list(path: string): Promise<string[]> {
    return this.#run("list", path, () => {
      const node = this.#tree.find(path)
      if (node === undefined) return []
      if (!(node instanceof SimulatedDirectory)) throw failed("list", path, "it is a file")
      return [...node.names.keys()].sort()
    })
  }

  status(path: string): Promise<FileStatus | undefined> {
    return this.#run("status", path, () => {
      const node = this.#tree.find(path)
      if (node === undefined) return undefined
      if (node instanceof SimulatedDirectory) return { bytes: 0, modifiedMs: 0, isDirectory: true }
      return { bytes: node.length, modifiedMs: node.modifiedMs, isDirectory: false }
    })
  }

  syncDirectory(path: string): Promise<void> {
    return this.#change("syncDirectory", path, () => {
      this.#tree.sync(this.#directory("sync", path))
    })
  }

  lock(path: string): Promise<DirectoryLock> {
    return this.#run("lock", path, () => {
      const directory = this.#directory("lock", path)
      if (directory.lock !== undefined) {
        throw new EngineError("DIRECTORY_LOCKED", `${path} is in use by this simulated process`)
      }
      const lock: DirectoryLock = {
        release: () =>
          this.#run("unlock", path, () => {
            if (directory.lock === lock) directory.lock = undefined
          }),
      }
      directory.lock = lock
      return lock
    })
  }

  #create(path: string): Promise<File> {
    const add = (): SimulatedFileContent => {
      const place = this.#place("create", path)
      if (place.node !== undefined) throw failed("create", path, "it exists")
      const content = new SimulatedFileContent()
      content.modifiedMs = this.#nowMs()
      this.#tree.change([{ ...place, node: content }])
      return content
    }
    return this.#run(
      "open",
      `${path} to create`,
      () => new SimulatedFile(this.#disk, path, add(), "create"),
      add,
    )
  }

  async #makeDurably(path: string): Promise<void> {
    const names = path.split("/").filter((name) => name !== "")
    for (let depth = 1; depth <= names.length; depth++) {
      const above = `/${names.slice(0, depth - 1).join("/")}`
      const at = `/${names.slice(0, depth).join("/")}`
      if (this.#tree.find(at) instanceof SimulatedDirectory) continue
      await this.#change("makeDirectory", at, () => {
        const place = this.#place("make directory", at)
        if (place.node instanceof SimulatedFileContent) throw failed("make directory", at, "it is a file")
        this.#tree.change([{ ...place, node: new SimulatedDirectory() }])
      })
      await this.syncDirectory(above)
    }
    // A call that found everything there is a step all the same.
    await this.status(path)
  }

  /** A call that a crash hits before or after its effect, never in the middle. */
  #change<Result>(kind: CallKind, about: string, effect: () => Result): Promise<Result> {
    return this.#run(kind, about, effect, effect)
  }

  #run<Result>(
    kind: CallKind,
    about: string,
    effect: () => Result,
    atCrash?: () => unknown,
  ): Promise<Result> {
    const call: SimulatedCall<Result> = { kind, about, effect }
    if (atCrash === undefined) return this.#calls.run(call)
    return this.#calls.run({ ...call, atCrash: () => this.#perhaps(atCrash) })
  }

  /** What a call had done when the machine stopped: all or nothing. A call that would have failed did nothing. */
  #perhaps(effect: () => unknown): void {
    if (this.#random.oneIn(2)) return
    try {
      effect()
    } catch (error) {
      if (!(error instanceof EngineError)) throw error
    }
  }

  #successor(seed: number, grow: (random: SimulatedRandom) => SimulatedTree): SimulatedFileSystem {
    const successor = new SimulatedFileSystem(
      this.#clock === undefined ? { seed } : { seed, clock: this.#clock },
    )
    successor.#tree = grow(successor.#random)
    successor.#space.freeBytes = this.#space.freeBytes
    return successor
  }

  /** Called before the name at `place` goes: the last name of a file takes its bytes along. */
  #releaseSpaceOf({ node }: Place): void {
    if (node instanceof SimulatedFileContent && node.linkCount === 1) this.#space.give(node.length)
  }

  #place(act: string, path: string): Place {
    const place = this.#tree.place(path)
    if (place === undefined) throw failed(act, path, "the directory above it does not exist")
    return place
  }

  #directory(act: string, path: string): SimulatedDirectory {
    const node = this.#tree.find(path)
    if (!(node instanceof SimulatedDirectory)) throw failed(act, path, "it is no directory")
    return node
  }

  #content(path: string): SimulatedFileContent {
    const node = this.#tree.find(path)
    assert(node instanceof SimulatedFileContent, "the test names a file that exists")
    return node
  }

  #nowMs(): number {
    return this.#clock?.nowMs() ?? this.#calls.steps
  }
}

function failed(act: string, path: string, why: string): EngineError {
  return new EngineError("STORAGE_FAILED", `cannot ${act} ${path}: ${why}`)
}
