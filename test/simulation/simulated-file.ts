// An open file of the simulated disk.

import { EngineError, type File, type OpenMode } from "@varve/engines/internal"
import type { SimulatedCalls, StoppedDisk } from "./simulated-calls.ts"
import { SECTOR_BYTES, type SimulatedFileContent } from "./simulated-file-content.ts"

/** The parts of the disk that an open file works with. */
export interface SimulatedDisk extends StoppedDisk {
  readonly calls: SimulatedCalls
  readonly nowMs: () => number
  readonly openPaths: Map<object, string>
}

export class SimulatedFile implements File {
  readonly #disk: SimulatedDisk
  readonly #path: string
  readonly #content: SimulatedFileContent
  readonly #mode: OpenMode
  #syncFailed = false

  constructor(disk: SimulatedDisk, path: string, content: SimulatedFileContent, mode: OpenMode) {
    this.#disk = disk
    this.#path = path
    this.#content = content
    this.#mode = mode
    disk.openPaths.set(this, path)
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    return this.#disk.calls.run({
      kind: "read",
      about: this.#range(offset, target.length),
      effect: () => {
        this.#checkOpen("read")
        return this.#content.read(target, offset)
      },
    })
  }

  write(source: Uint8Array, offset: number): Promise<void> {
    return this.#disk.calls.run({
      kind: "write",
      about: this.#range(offset, source.length),
      effect: () => {
        this.#checkWritable("write")
        if (this.#writeWithinSpace(this.#disk, source, offset) < source.length) {
          throw new EngineError("STORAGE_FULL", `no space left on the simulated disk for ${this.#path}`)
        }
      },
      // A prefix that ends at a sector's end, or nothing, or all.
      atCrash: (disk) => this.#writePart(disk, source, offset, SECTOR_BYTES),
      // A short write ends anywhere.
      atFault: () => this.#writePart(this.#disk, source, offset, 1),
    })
  }

  sync(): Promise<void> {
    return this.#sync(this.#path, (content) => content.sync())
  }

  /** What a write to a synced file does behind it: makes these bytes durable, and no others. */
  syncRange(offset: number, bytes: number): Promise<void> {
    return this.#sync(this.#range(offset, bytes), (content) => content.syncRange(offset, offset + bytes))
  }

  #sync(about: string, act: (content: SimulatedFileContent) => void): Promise<void> {
    return this.#disk.calls.run({
      kind: "sync",
      about,
      effect: () => {
        this.#checkOpen("sync")
        if (this.#syncFailed) {
          throw new EngineError("STORAGE_FAILED", `cannot sync ${this.#path}: an earlier sync of it failed`)
        }
        act(this.#content)
      },
      atCrash: (disk) => {
        if (disk.random.oneIn(2)) act(disk.contentOf(this.#content))
      },
      atFault: () => {
        this.#syncFailed = true
        this.#content.loseUnsynced()
      },
    })
  }

  truncate(bytes: number): Promise<void> {
    const effect = (): void => {
      this.#checkWritable("truncate")
      const growth = bytes - this.#content.length
      if (growth > 0 && this.#disk.space.freeBytes < growth) {
        throw new EngineError("STORAGE_FULL", `no space left on the simulated disk for ${this.#path}`)
      }
      if (this.#content.linkCount > 0) this.#disk.space.give(-growth)
      this.#content.truncate(bytes)
      this.#content.modifiedMs = this.#disk.nowMs()
    }
    return this.#disk.calls.run({
      kind: "truncate",
      about: `${this.#path} to ${bytes}`,
      effect,
      atCrash: (disk) => {
        if (this.#mode !== "read" && disk.random.oneIn(2)) disk.contentOf(this.#content).truncate(bytes)
      },
    })
  }

  size(): Promise<number> {
    return this.#disk.calls.run({
      kind: "size",
      about: this.#path,
      effect: () => {
        this.#checkOpen("ask the size of")
        return this.#content.length
      },
    })
  }

  close(): Promise<void> {
    return this.#disk.calls.run({
      kind: "close",
      about: this.#path,
      effect: () => {
        this.#disk.openPaths.delete(this)
      },
    })
  }

  /** Writes as much as there is space for, and returns its length. */
  #writeWithinSpace(disk: StoppedDisk, source: Uint8Array, offset: number): number {
    const content = disk.contentOf(this.#content)
    const end = offset + source.length
    const growth = source.length === 0 ? 0 : Math.max(0, end - content.length)
    const missing = growth - (content.linkCount > 0 ? disk.space.take(growth) : growth)
    const length = Math.max(0, source.length - missing)
    if (length > 0) {
      content.write(source.subarray(0, length), offset)
      content.modifiedMs = this.#disk.nowMs()
    }
    return length
  }

  /** Writes a prefix of random length whose end lies at a multiple of `unit`, or all, or nothing. */
  #writePart(disk: StoppedDisk, source: Uint8Array, offset: number, unit: number): void {
    if (this.#mode === "read" || !this.#disk.openPaths.has(this)) return
    const cut = offset + disk.random.integer(source.length + 1)
    const end = disk.random.oneIn(4) ? offset + source.length : Math.floor(cut / unit) * unit
    if (end > offset) this.#writeWithinSpace(disk, source.subarray(0, end - offset), offset)
  }

  #checkOpen(act: string): void {
    if (this.#disk.openPaths.has(this)) return
    throw new EngineError("STORAGE_FAILED", `cannot ${act} ${this.#path}: the file is closed`)
  }

  #checkWritable(act: string): void {
    this.#checkOpen(act)
    if (this.#mode !== "read") return
    throw new EngineError("STORAGE_FAILED", `cannot ${act} ${this.#path}: it is open for reading only`)
  }

  #range(offset: number, bytes: number): string {
    return `${this.#path} [${offset}, ${offset + bytes})`
  }
}
