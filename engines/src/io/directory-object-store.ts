// Objects as files of a directory: key `a/b/c` is the file `<directory>/a/b/c`.
//
// An object is published in this order; a crash between any two steps leaves it absent or whole:
//
//   1. write its parts to <directory>/~drafts/<slot>/<n>     "~" is in no key: drafts are never seen as objects
//   2. sync that file
//   3. link it to its final name                             the one step that decides; fails when there is one
//   4. remove the draft
//   5. sync the final directory                              from here on the object survives power loss
//
// The first listing of a folder syncs it too: what is listed survives power loss.
//
// A draft slot is a directory with a lock, taken while this store creates something. Whoever gets the lock of a
// slot knows that what lies in it is left over from a crash, and removes it. Several stores, also of several
// processes on one machine, may use one directory.
//
// Since folders stand for the parts of keys, an object cannot have the name of a folder of others.

import { basename, dirname, join, resolve } from "node:path"
import { assert } from "../base/assert.ts"
import { EngineError, isEngineError } from "../base/error.ts"
import type { DirectoryLock, File, FileSystem } from "./file-system.ts"
import { isObjectKey, isObjectKeySegment, OBJECT_KEY_BYTES_MAX } from "./object-key.ts"
import type { ObjectStore, ObjectSummary } from "./object-store.ts"

const DRAFTS = "~drafts"
const SLOT_NAME = /^\d{1,6}$/
const DRAFT_NAME = /^\d{1,16}$/
/** Stores that create at the same time in one directory. */
const SLOT_COUNT_MAX = 1024
/** How many files are asked for their status at a time by `list`. */
const STATUS_BATCH = 32

interface Slot {
  readonly path: string
  readonly lock: DirectoryLock
}

/** An ObjectStore over any FileSystem. */
export class DirectoryObjectStore implements ObjectStore {
  readonly url: string
  readonly #fileSystem: FileSystem
  readonly #directory: string
  /** Held from the first of overlapping creations to the end of the last. */
  #slot: Promise<Slot> | undefined
  #creationCount = 0
  #draftCount = 0
  /** The slot that was free the last time. */
  #slotNumber = 0
  /** Folders whose names are known to be durable, but for those that this store adds. */
  readonly #durableFolders = new Set<string>()

  private constructor(fileSystem: FileSystem, directory: string) {
    this.#fileSystem = fileSystem
    this.#directory = directory
    this.url = `file:${directory}`
  }

  /**
   * Opens the store in `directory`, an absolute path; a directory that is missing is made by the first `create`.
   * Removes drafts that a crash has left.
   */
  static async open(fileSystem: FileSystem, directory: string): Promise<DirectoryObjectStore> {
    const store = new DirectoryObjectStore(fileSystem, resolve(directory))
    await store.#attempt(() => store.#removeLeftovers())
    return store
  }

  get(key: string, range?: { offset: number; bytes: number }): Promise<Uint8Array | undefined> {
    assert(range === undefined || (range.offset >= 0 && range.bytes >= 0), "the range is not negative")
    return this.#attempt(async () => {
      const path = this.#path(key)
      const status = await this.#fileSystem.status(path)
      if (status === undefined || status.isDirectory) return undefined
      const file = await this.#fileSystem.open(path, "read")
      if (file === undefined) return undefined
      try {
        const start = Math.min(range?.offset ?? 0, status.bytes)
        const target = new Uint8Array(Math.min(range?.bytes ?? status.bytes, status.bytes - start))
        const count = await file.read(target, start)
        return count === target.length ? target : target.slice(0, count)
      } finally {
        await file.close()
      }
    })
  }

  create(key: string, parts: readonly Uint8Array[]): Promise<boolean> {
    return this.#attempt(async () => {
      const path = this.#path(key)
      const present = await this.#fileSystem.status(path)
      if (present?.isDirectory === true) {
        throw new EngineError(
          "REPOSITORY_FAILED",
          `object ${key} cannot be created: it is a folder of others`,
        )
      }
      const isNew = present === undefined && (await this.#publish(path, parts))
      // Also for one that was there: its creator may have crashed before this step, and the caller relies on it.
      await this.#fileSystem.syncDirectory(dirname(path))
      return isNew
    })
  }

  list(prefix: string): Promise<ObjectSummary[]> {
    return this.#attempt(async () => {
      const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1)
      assert(
        folder === "" || isObjectKey(folder.slice(0, -1)),
        "the folders of a prefix are segments of a key",
      )
      const found: ObjectSummary[] = []
      await this.#collect(folder, prefix.slice(folder.length), found)
      return found.sort((a, b) => (a.key < b.key ? -1 : 1))
    })
  }

  remove(key: string): Promise<void> {
    return this.#attempt(async () => {
      const path = this.#path(key)
      const status = await this.#fileSystem.status(path)
      if (status === undefined || status.isDirectory) return
      await this.#fileSystem.remove(path)
      await this.#fileSystem.syncDirectory(dirname(path))
    })
  }

  /** Nothing is held between calls. */
  close(): Promise<void> {
    return Promise.resolve()
  }

  /** Steps 1 to 4. Resolves false when there is an object at `path`. */
  async #publish(path: string, parts: readonly Uint8Array[]): Promise<boolean> {
    await this.#fileSystem.makeDirectory(dirname(path))
    const slot = await this.#enterSlot()
    try {
      const draft = join(slot.path, String(++this.#draftCount))
      try {
        await this.#writeDraft(draft, parts)
        return await this.#fileSystem.link(draft, path)
      } finally {
        await this.#fileSystem.remove(draft)
      }
    } finally {
      await this.#leaveSlot(slot)
    }
  }

  async #writeDraft(path: string, parts: readonly Uint8Array[]): Promise<void> {
    const file: File = await this.#fileSystem.open(path, "create")
    try {
      let offset = 0
      for (const part of parts) {
        if (part.length > 0) await file.write(part, offset)
        offset += part.length
      }
      await file.sync()
    } finally {
      await file.close()
    }
  }

  async #enterSlot(): Promise<Slot> {
    this.#creationCount++
    this.#slot ??= this.#takeSlot()
    const slot = this.#slot
    try {
      return await slot
    } catch (error) {
      this.#creationCount--
      if (this.#slot === slot) this.#slot = undefined
      throw error
    }
  }

  async #leaveSlot(slot: Slot): Promise<void> {
    if (--this.#creationCount > 0) return
    this.#slot = undefined
    await slot.lock.release()
  }

  async #takeSlot(): Promise<Slot> {
    for (let attempt = 0; attempt < SLOT_COUNT_MAX; attempt++) {
      const path = join(this.#directory, DRAFTS, String(this.#slotNumber))
      await this.#fileSystem.makeDirectory(path)
      const lock = await this.#lockUnlessHeld(path)
      if (lock !== undefined) {
        await this.#removeDrafts(path, lock)
        return { path, lock }
      }
      this.#slotNumber = (this.#slotNumber + 1) % SLOT_COUNT_MAX
    }
    throw new EngineError("REPOSITORY_FAILED", `all ${SLOT_COUNT_MAX} draft slots of ${this.url} are in use`)
  }

  async #removeLeftovers(): Promise<void> {
    const drafts = join(this.#directory, DRAFTS)
    for (const name of await this.#fileSystem.list(drafts)) {
      if (!SLOT_NAME.test(name)) continue
      const path = join(drafts, name)
      const isClean = (await this.#fileSystem.list(path)).every((draft) => !DRAFT_NAME.test(draft))
      const lock = isClean ? undefined : await this.#lockUnlessHeld(path)
      if (lock === undefined) continue
      await this.#removeDrafts(path, lock)
      await lock.release()
    }
  }

  /** Called under the lock of the slot, which is released when this fails. */
  async #removeDrafts(slotPath: string, lock: DirectoryLock): Promise<void> {
    try {
      for (const name of await this.#fileSystem.list(slotPath)) {
        if (DRAFT_NAME.test(name)) await this.#fileSystem.remove(join(slotPath, name))
      }
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  async #lockUnlessHeld(path: string): Promise<DirectoryLock | undefined> {
    try {
      return await this.#fileSystem.lock(path)
    } catch (error) {
      if (isEngineError(error, "DIRECTORY_LOCKED")) return undefined
      throw error
    }
  }

  /**
   * Adds the objects below `folder` (empty, or ending in "/") whose next segment starts with `start`. Where one is gone
   * when it is asked for, another may have come in its place since the names were read: they are read again.
   */
  async #collect(folder: string, start: string, found: ObjectSummary[]): Promise<void> {
    const path = join(this.#directory, folder)
    const asked = new Set<string>()
    const gone = new Set<string>()
    let isAgain = true
    while (isAgain) {
      const names = (await this.#fileSystem.list(path)).filter(
        (name) => name.startsWith(start) && isObjectKeySegment(name) && !asked.has(name),
      )
      // A name may be there without being durable, when a kill came before step 5; whoever hears of it relies on it.
      if (names.length > 0 && !this.#durableFolders.has(folder)) {
        await this.#fileSystem.syncDirectory(path)
        this.#durableFolders.add(folder)
      }
      const goneNow = await this.#collectNames(folder, names, found)
      isAgain = goneNow.size > 0
      for (const name of names) {
        // Twice: a link that leads nowhere, say.
        if (!goneNow.has(name) || gone.has(name)) asked.add(name)
        else gone.add(name)
      }
    }
  }

  /** @returns names that are gone */
  async #collectNames(
    folder: string,
    names: readonly string[],
    found: ObjectSummary[],
  ): Promise<Set<string>> {
    const gone = new Set<string>()
    for (let first = 0; first < names.length; first += STATUS_BATCH) {
      const batch = names.slice(first, first + STATUS_BATCH)
      const statuses = await Promise.all(
        batch.map((name) => this.#fileSystem.status(join(this.#directory, folder + name))),
      )
      for (const [index, status] of statuses.entries()) {
        const name = batch[index]!
        const key = folder + name
        if (status === undefined) gone.add(name)
        else if (status.isDirectory) await this.#collect(`${key}/`, "", found)
        else found.push({ key, bytes: status.bytes, modifiedMs: status.modifiedMs })
      }
    }
    return gone
  }

  #path(key: string): string {
    assert(isObjectKey(key), "an object key is made of allowed segments")
    assert(key.length <= OBJECT_KEY_BYTES_MAX && basename(key) !== "", "an object key has a last segment")
    return join(this.#directory, key)
  }

  /** Runs one call; what the disk refuses is a failure of the repository. Full stays full: it heals by itself. */
  async #attempt<Result>(act: () => Promise<Result>): Promise<Result> {
    try {
      return await act()
    } catch (error) {
      if (!isEngineError(error, "STORAGE_FAILED") && !isEngineError(error, "DIRECTORY_LOCKED")) throw error
      throw new EngineError("REPOSITORY_FAILED", `repository ${this.url}: ${error.message}`, { cause: error })
    }
  }
}
