// The real disk, through the operating system.

import { constants } from "node:fs"
import { link, mkdir, open, readdir, rename, rm, stat, unlink } from "node:fs/promises"
import { dirname, isAbsolute } from "node:path"
import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import { lockDirectory } from "./directory-lock.ts"
import type { DirectoryLock, File, FileStatus, FileSystem, OpenMode } from "./file-system.ts"
import { openNodeFile } from "./node-file.ts"
import { isMissing, storageError, systemCode } from "./storage-error.ts"
import { SyncedFile } from "./synced-file.ts"

/** Elsewhere the flag is missing, or, as on macOS, does not reach the platters as `fdatasync` of libuv does. */
const isSyncedByWrites = process.platform === "linux"
const FLAGS = {
  read: "r",
  create: "wx+",
  edit: "r+",
  "edit-synced": isSyncedByWrites ? constants.O_RDWR | constants.O_DSYNC : "r+",
} as const satisfies Record<OpenMode, string | number>

/** The FileSystem of the machine. Instances share nothing; each thread has its own. */
export class NodeFileSystem implements FileSystem {
  /** Directories are made one call after the other: nobody relies on a name that another has not synced yet. */
  #makingDirectories: Promise<unknown> = Promise.resolve()

  open(path: string, mode: "read" | "edit" | "edit-synced"): Promise<File | undefined>
  open(path: string, mode: "create"): Promise<File>
  async open(path: string, mode: OpenMode): Promise<File | undefined> {
    assertPath(path)
    try {
      const file = await openNodeFile(path, FLAGS[mode])
      if (mode !== "edit-synced") return file
      return new SyncedFile(file, path, isSyncedByWrites ? undefined : () => file.sync())
    } catch (error) {
      if (mode !== "create" && isMissing(error)) return undefined
      throw storageError(mode === "create" ? "create" : "open", path, error)
    }
  }

  async rename(source: string, target: string): Promise<void> {
    assertPath(source)
    assertPath(target)
    await rename(source, target).catch(refused("rename", `${source} to ${target}`))
  }

  async link(source: string, target: string): Promise<boolean> {
    assertPath(source)
    assertPath(target)
    try {
      await link(source, target)
      return true
    } catch (error) {
      if (systemCode(error) === "EEXIST") return false
      throw storageError("link", `${source} to ${target}`, error)
    }
  }

  async remove(path: string): Promise<void> {
    assertPath(path)
    try {
      await unlink(path)
    } catch (error) {
      if (!isMissing(error)) throw storageError("remove", path, error)
    }
  }

  async removeDirectory(path: string): Promise<void> {
    const status = await this.status(path)
    if (status === undefined) return
    if (!status.isDirectory) {
      throw new EngineError("STORAGE_FAILED", `cannot remove directory ${path}: it is a file`)
    }
    await rm(path, { recursive: true, force: true }).catch(refused("remove", path))
  }

  makeDirectory(path: string): Promise<void> {
    assertPath(path)
    const made = this.#makingDirectories.then(() => makeDurably(path))
    this.#makingDirectories = made.catch(() => undefined)
    return made
  }

  async list(path: string): Promise<string[]> {
    assertPath(path)
    try {
      return (await readdir(path)).sort()
    } catch (error) {
      if (systemCode(error) === "ENOENT") return []
      throw storageError("list", path, error)
    }
  }

  async status(path: string): Promise<FileStatus | undefined> {
    assertPath(path)
    try {
      const stats = await stat(path)
      return { bytes: stats.size, modifiedMs: stats.mtimeMs, isDirectory: stats.isDirectory() }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw storageError("ask the status of", path, error)
    }
  }

  async syncDirectory(path: string): Promise<void> {
    assertPath(path)
    await syncDirectory(path)
  }

  lock(path: string): Promise<DirectoryLock> {
    assertPath(path)
    return lockDirectory(path)
  }
}

/** Makes `path` and what is missing above it, from the top down; each name is synced before the next is made. */
async function makeDurably(path: string): Promise<void> {
  const failure = await makeOne(path)
  if (failure === undefined) return
  if (systemCode(failure) !== "ENOENT" || dirname(path) === path) {
    throw storageError("make directory", path, failure)
  }
  await makeDurably(dirname(path))
  // Once more and not again: there are file systems, such as /proc, that say ENOENT whatever is there.
  const still = await makeOne(path)
  if (still !== undefined) throw storageError("make directory", path, still)
}

/** Why the directory is not there and could not be made; undefined when it is there, durably. */
async function makeOne(path: string): Promise<unknown> {
  try {
    await mkdir(path)
  } catch (error) {
    if (systemCode(error) !== "EEXIST") return error
    const found = await stat(path).catch(refused("ask the status of", path))
    return found.isDirectory() ? undefined : error
  }
  await syncDirectory(dirname(path))
  return undefined
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r").catch(refused("open", path))
  try {
    await directory.sync().catch((cause) => {
      throw new EngineError("STORAGE_FAILED", `cannot sync directory ${path}; names may be lost`, { cause })
    })
  } finally {
    await directory.close()
  }
}

function refused(act: string, path: string): (error: unknown) => never {
  return (error) => {
    throw storageError(act, path, error)
  }
}

function assertPath(path: string): void {
  assert(isAbsolute(path), "paths are absolute")
}
