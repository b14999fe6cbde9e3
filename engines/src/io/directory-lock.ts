// The lock of a directory: a file `LOCK` in it that names the process that holds it. The lock of a dead process
// is taken over; of several that try, one wins.
//
//   LOCK                      who holds the directory: one line of JSON, LockContent
//   LOCK.<token>              the same, about to be linked to LOCK
//   LOCK.takeover             who is taking over a stale LOCK; itself a lock of the same kind
//   LOCK.takeover.takeover    … for a process that died while it was taking over; and so on
//
// A lock appears by link(2), whole, or not at all. While it is there, nobody changes it but
//   - its holder, who removes it, or
//   - the holder of its takeover lock, who replaces it after having seen *under that lock* that it still is
//     the stale one. Without that second look a slow starter could replace the lock of a quick one.
// A crash of the machine may leave a LOCK without content; no living process has such a one, so it is stale.

import { randomUUID } from "node:crypto"
import { link, readdir, readFile, rename, unlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { EngineError } from "../base/error.ts"
import type { DirectoryLock } from "./file-system.ts"
import { isRunning, type ProcessIdentity, thisProcess } from "./process-identity.ts"
import { isMissing, storageError, systemCode } from "./storage-error.ts"

const LOCK_NAME = "LOCK"
const TAKEOVER_SUFFIX = ".takeover"
/** Processes that died one after the other while taking over; more than that is no accident. */
const TAKEOVER_DEPTH_MAX = 8
/** Times that a lock may vanish between the failed link and the look at it, before we give up. */
const ATTEMPTS_MAX = 100

interface LockContent extends ProcessIdentity {
  /** Unique: tells two locks of one process apart. */
  readonly token: string
}

/**
 * Takes the lock of `directory`, which must exist. See `FileSystem.lock`.
 * @param name of the lock's file: another one than `LOCK` is a lock of its own, of something in the directory
 */
export async function lockDirectory(directory: string, name = LOCK_NAME): Promise<DirectoryLock> {
  const content: LockContent = { ...(await thisProcess()), token: randomUUID() }
  const draft = join(directory, `${name}.${content.token}`)
  try {
    await writeFile(draft, `${JSON.stringify(content)}\n`, { flag: "wx" })
    try {
      await acquire(directory, name, draft, 0)
      await removeStaleDrafts(directory, name, draft)
    } finally {
      await unlinkIfThere(draft)
    }
  } catch (error) {
    if (error instanceof EngineError) throw error
    throw storageError("lock", directory, error)
  }
  return new HeldLock(directory, name)
}

/**
 * Removes the lock of `directory` that a thread of this process left behind when it died. The caller knows that the
 * thread is gone: a lock names its process, and that one still runs. A lock of another process stays.
 */
export async function releaseLockOfDeadThread(directory: string, name = LOCK_NAME): Promise<void> {
  const path = join(directory, name)
  const content = parseLock((await readLock(path)) ?? "")
  const { pid, bootId, startTicks } = await thisProcess()
  const isOurs = content?.pid === pid && content.bootId === bootId && content.startTicks === startTicks
  if (isOurs) await unlinkIfThere(path)
}

class HeldLock implements DirectoryLock {
  readonly #directory: string
  readonly #name: string
  #released = false

  constructor(directory: string, name: string) {
    this.#directory = directory
    this.#name = name
  }

  async release(): Promise<void> {
    // Once only: the second time the file could be the lock of another.
    if (this.#released) return
    this.#released = true
    await unlinkIfThere(join(this.#directory, this.#name)).catch((error) => {
      throw storageError("unlock", this.#directory, error)
    })
  }
}

/** Makes `name` a link to `draft`, taking over from a dead process. */
async function acquire(directory: string, name: string, draft: string, depth: number): Promise<void> {
  const path = join(directory, name)
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (await linkIfFree(draft, path)) return
    const found = await readLock(path)
    if (found === undefined) continue
    if (await isHeld(found)) throw locked(directory, found)
    if (depth === TAKEOVER_DEPTH_MAX) break
    const takeoverName = name + TAKEOVER_SUFFIX
    await acquire(directory, takeoverName, draft, depth + 1)
    try {
      if ((await readLock(path)) === found) {
        // The draft itself is still needed when this is a takeover lock: another link of it is moved.
        const replacement = `${draft}.${depth}`
        await link(draft, replacement)
        await rename(replacement, path)
        return
      }
    } finally {
      await unlinkIfThere(join(directory, takeoverName))
    }
  }
  throw new EngineError(
    "DIRECTORY_LOCKED",
    `${directory} is being locked by others at this moment; try again`,
  )
}

async function linkIfFree(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false
    throw error
  }
}

/** The text of a lock file; undefined when there is none. */
async function readLock(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8")
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function isHeld(text: string): Promise<boolean> {
  const content = parseLock(text)
  return content !== undefined && (await isRunning(content))
}

function parseLock(text: string): LockContent | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== "object" || value === null) return undefined
  const { pid, bootId, startTicks, token } = value as Partial<Record<keyof LockContent, unknown>>
  if (!Number.isSafeInteger(pid) || typeof bootId !== "string") return undefined
  if (typeof startTicks !== "string" || typeof token !== "string") return undefined
  return { pid: pid as number, bootId, startTicks, token }
}

function locked(directory: string, text: string): EngineError {
  const pid = parseLock(text)?.pid
  const holder = pid === process.pid ? `this process (${pid})` : `process ${pid}`
  return new EngineError("DIRECTORY_LOCKED", `${directory} is in use by ${holder}`)
}

/** Called under the lock: removes what starters left behind that died on the way. */
async function removeStaleDrafts(directory: string, lockName: string, ownDraft: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    if (!name.startsWith(`${lockName}.`) || path.startsWith(ownDraft)) continue
    // A takeover lock is replaced under its own rules only.
    if (name.endsWith(TAKEOVER_SUFFIX)) continue
    const text = await readLock(path)
    // One without content may be a draft that a living process is about to write.
    if (text === undefined || parseLock(text) === undefined) continue
    if (!(await isHeld(text))) await unlinkIfThere(path)
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}
