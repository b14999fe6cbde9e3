// A disk in memory that does to its users what real ones do, from a seed.
//
//     const disk = new SimulatedFileSystem({ seed })
//     disk.crashAt(17)                     the 17th call and all after it reject with SimulatedCrash
//     …                                    run the code under test until it fails
//     const after = disk.restart()         what power loss left, as a new disk; locks are gone
//     const same = disk.restartProcess()   or: what the end of the process left, which is everything
//
// A life that is to be stopped everywhere need not be lived again for each place: `beforeChange` gives, at each call
// that changes the disk, what a stop in this very call would have left.
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
  SyncedFile,
} from "@varve/engines/internal"
import { type CallKind, type SimulatedCall, SimulatedCalls, type StoppedDisk } from "./simulated-calls.ts"
import { type SimulatedDisk, SimulatedFile } from "./simulated-file.ts"
import { SimulatedFileContent } from "./simulated-file-content.ts"
import { SimulatedRandom } from "./simulated-random.ts"
import { SimulatedSpace } from "./simulated-space.ts"
import {
  directoryAt,
  failed,
  type Place,
  place,
  SimulatedDirectory,
  SimulatedTree,
} from "./simulated-tree.ts"

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
  readonly #tree: SimulatedTree
  #makingDirectories: Promise<unknown> = Promise.resolve()

  /** @param plant gives what is on the disk; nothing when absent */
  constructor(
    options: SimulatedFileSystemOptions,
    plant: (random: SimulatedRandom) => SimulatedTree = () => new SimulatedTree(),
  ) {
    this.seed = options.seed
    this.#clock = options.clock
    this.#random = new SimulatedRandom(options.seed)
    this.#tree = plant(this.#random)
    const stopped: StoppedDisk = {
      tree: this.#tree,
      space: this.#space,
      random: this.#random,
      contentOf: (content) => content,
    }
    this.#calls = new SimulatedCalls(stopped)
    this.#disk = {
      ...stopped,
      calls: this.#calls,
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

  /**
   * Hears of every call that changes the disk, before it does. `stopHere` gives this disk as it is when the machine
   * stops in the middle of the call: a copy, stopped, to be restarted. This disk goes on.
   */
  set beforeChange(hear: (stopHere: () => SimulatedFileSystem) => void) {
    this.#calls.onChange = (atCrash) => hear(() => this.#stoppedIn(atCrash))
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
    return this.copy(seed)
  }

  /** The disk that the end of the process would leave now. This one goes on. */
  copy(seed: number): SimulatedFileSystem {
    return this.#successor(seed, () => this.#tree.copy().tree)
  }

  // The FileSystem.

  open(path: string, mode: "read" | "edit" | "edit-synced"): Promise<File | undefined>
  open(path: string, mode: "create"): Promise<File>
  open(path: string, mode: OpenMode): Promise<File | undefined> {
    if (mode === "create") return this.#create(path)
    return this.#run("open", `${path} to ${mode}`, () => {
      const node = this.#tree.find(path)
      if (node === undefined) return undefined
      if (node instanceof SimulatedDirectory) throw failed("open", path, "it is a directory")
      const file = new SimulatedFile(this.#disk, path, node, mode)
      // Two steps, so that a crash may come between them.
      if (mode !== "edit-synced") return file
      return new SyncedFile(file, path, (offset, bytes) => file.syncRange(offset, bytes))
    })
  }

  rename(source: string, target: string): Promise<void> {
    return this.#change("rename", `${source} to ${target}`, ({ tree, space }) => {
      const from = place(tree, "rename", source)
      const to = place(tree, "rename", target)
      if (from.node === undefined) throw failed("rename", source, "it does not exist")
      if (to.node instanceof SimulatedDirectory) throw failed("rename", source, `${target} is a directory`)
      // Two names of one file stay as they are, as rename(2) has it.
      if (from.node === to.node) return
      releaseSpaceOf(to, space)
      tree.change([
        { ...to, node: from.node },
        { ...from, node: undefined },
      ])
    })
  }

  link(source: string, target: string): Promise<boolean> {
    return this.#change("link", `${source} to ${target}`, ({ tree }) => {
      const { node } = place(tree, "link", source)
      if (!(node instanceof SimulatedFileContent)) throw failed("link", source, "it is no file")
      const to = place(tree, "link", target)
      if (to.node !== undefined) return false
      tree.change([{ ...to, node }])
      return true
    })
  }

  remove(path: string): Promise<void> {
    return this.#change("remove", path, ({ tree, space }) => {
      const found = tree.place(path)
      if (found?.node === undefined) return
      if (found.node instanceof SimulatedDirectory) throw failed("remove", path, "it is a directory")
      releaseSpaceOf(found, space)
      tree.change([{ ...found, node: undefined }])
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
    await this.#change("removeDirectory", path, ({ tree }) => {
      const found = tree.place(path)
      if (found?.node !== undefined) tree.change([{ ...found, node: undefined }])
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
    return this.#change("syncDirectory", path, ({ tree }) => {
      tree.sync(directoryAt(tree, "sync", path))
    })
  }

  lock(path: string): Promise<DirectoryLock> {
    return this.#run("lock", path, () => {
      const directory = directoryAt(this.#tree, "lock", path)
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
    const add = ({ tree }: StoppedDisk): SimulatedFileContent => {
      const found = place(tree, "create", path)
      if (found.node !== undefined) throw failed("create", path, "it exists")
      const content = new SimulatedFileContent()
      content.modifiedMs = this.#nowMs()
      tree.change([{ ...found, node: content }])
      return content
    }
    return this.#run(
      "open",
      `${path} to create`,
      () => new SimulatedFile(this.#disk, path, add(this.#disk), "create"),
      add,
    )
  }

  async #makeDurably(path: string): Promise<void> {
    const names = path.split("/").filter((name) => name !== "")
    for (let depth = 1; depth <= names.length; depth++) {
      const above = `/${names.slice(0, depth - 1).join("/")}`
      const at = `/${names.slice(0, depth).join("/")}`
      if (this.#tree.find(at) instanceof SimulatedDirectory) continue
      await this.#change("makeDirectory", at, ({ tree }) => {
        const found = place(tree, "make directory", at)
        if (found.node instanceof SimulatedFileContent) throw failed("make directory", at, "it is a file")
        tree.change([{ ...found, node: new SimulatedDirectory() }])
      })
      await this.syncDirectory(above)
    }
    // A call that found everything there is a step all the same.
    await this.status(path)
  }

  /** A call that a crash hits before or after its effect, never in the middle. */
  #change<Result>(kind: CallKind, about: string, effect: (disk: StoppedDisk) => Result): Promise<Result> {
    return this.#run(kind, about, () => effect(this.#disk), effect)
  }

  #run<Result>(
    kind: CallKind,
    about: string,
    effect: () => Result,
    atCrash?: (disk: StoppedDisk) => unknown,
  ): Promise<Result> {
    const call: SimulatedCall<Result> = { kind, about, effect }
    if (atCrash === undefined) return this.#calls.run(call)
    return this.#calls.run({ ...call, atCrash: (disk) => perhaps(atCrash, disk) })
  }

  #successor(seed: number, plant: (random: SimulatedRandom) => SimulatedTree): SimulatedFileSystem {
    const options = this.#clock === undefined ? { seed } : { seed, clock: this.#clock }
    const successor = new SimulatedFileSystem(options, plant)
    successor.#space.freeBytes = this.#space.freeBytes
    return successor
  }

  /** A copy on which the machine has stopped in the call that is about to be made. The chance is that of the step. */
  #stoppedIn(atCrash: (disk: StoppedDisk) => void): SimulatedFileSystem {
    const random = new SimulatedRandom(this.seed ^ Math.imul(this.steps, 0x9e3779b1))
    const { tree, copyOf } = this.#tree.copy()
    const copy = this.#successor(random.next(), () => tree)
    atCrash({ tree, space: copy.#space, random, contentOf: copyOf })
    copy.#calls.crashNow()
    return copy
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

/** What a call had done when the machine stopped: all or nothing. A call that would have failed did nothing. */
function perhaps(effect: (disk: StoppedDisk) => unknown, disk: StoppedDisk): void {
  if (disk.random.oneIn(2)) return
  try {
    effect(disk)
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
  }
}

/** Called before the name at the place goes: the last name of a file takes its bytes along. */
function releaseSpaceOf({ node }: Place, space: SimulatedSpace): void {
  if (node instanceof SimulatedFileContent && node.linkCount === 1) space.give(node.length)
}
