// An open file of the operating system. Calls the descriptor's own functions with callbacks: reading through it
// is the path of every read that memory cannot answer.
//
// Invariants: the descriptor is closed only when no call is under way, and never used afterwards, because the
// system gives its number to the next file at once. A sync that failed is never tried again: the second one may
// succeed although what the first one lost stays lost.

import { close, fdatasync, fstat, ftruncate, open, read, write } from "node:fs"
import { EngineError } from "../base/error.ts"
import type { File } from "./file-system.ts"
import { storageError } from "./storage-error.ts"

/** Opens `path` with the flags of open(2) as Node writes them. Rejects with the system's own error. */
export function openNodeFile(path: string, flags: "r" | "r+" | "wx+" | number): Promise<File> {
  return new Promise((resolve, reject) => {
    open(path, flags, (error, descriptor) => {
      if (error === null) resolve(new NodeFile(path, descriptor))
      else reject(error)
    })
  })
}

class NodeFile implements File {
  readonly #path: string
  readonly #descriptor: number
  #callsUnderWay = 0
  #closing: Promise<void> | undefined
  #afterLastCall: (() => void) | undefined
  #syncFailed = false

  constructor(path: string, descriptor: number) {
    this.#path = path
    this.#descriptor = descriptor
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    // Not by `#call`: reads of single blocks are the many, and each closure counts.
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) return reject(this.#closedError("read"))
      this.#callsUnderWay++
      let filled = 0
      const arrived = (error: Error | null, count: number): void => {
        filled += count
        // Short of the end of the file a system may still answer with less than it was asked for.
        if (error === null && count > 0 && filled < target.length) {
          read(this.#descriptor, target, filled, target.length - filled, offset + filled, arrived)
          return
        }
        this.#ended()
        if (error === null) resolve(filled)
        else reject(storageError("read", this.#path, error))
      }
      read(this.#descriptor, target, 0, target.length, offset, arrived)
    })
  }

  write(source: Uint8Array, offset: number): Promise<void> {
    return this.#call("write", (resolve, reject) => {
      let written = 0
      const next = (): void => {
        write(
          this.#descriptor,
          source,
          written,
          source.length - written,
          offset + written,
          (error, count) => {
            if (error !== null) return reject(error)
            written += count
            // A full disk answers with a short count first; only the write of the rest says why.
            if (written === source.length) resolve()
            else if (count === 0) reject(new Error(`${written} of ${source.length} bytes were written`))
            else next()
          },
        )
      }
      next()
    })
  }

  async sync(): Promise<void> {
    if (this.#syncFailed) {
      throw new EngineError("STORAGE_FAILED", `cannot sync ${this.#path}: an earlier sync of it failed`)
    }
    try {
      await this.#call<void>("sync", (resolve, reject) => {
        fdatasync(this.#descriptor, (error) => (error === null ? resolve() : reject(error)))
      })
    } catch (error) {
      this.#syncFailed = true
      // Whatever the cause, the bytes may be gone: this is never an error that heals by itself.
      throw new EngineError("STORAGE_FAILED", `cannot sync ${this.#path}; its bytes may be lost`, {
        cause: error,
      })
    }
  }

  truncate(bytes: number): Promise<void> {
    return this.#call("truncate", (resolve, reject) => {
      ftruncate(this.#descriptor, bytes, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  size(): Promise<number> {
    return this.#call("ask the size of", (resolve, reject) => {
      fstat(this.#descriptor, (error, stats) => (error === null ? resolve(stats.size) : reject(error)))
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAfterCalls()
    return this.#closing
  }

  async #closeAfterCalls(): Promise<void> {
    if (this.#callsUnderWay > 0) {
      await new Promise<void>((resolve) => {
        this.#afterLastCall = resolve
      })
    }
    await new Promise<void>((resolve, reject) => {
      close(this.#descriptor, (error) =>
        error === null || error === undefined ? resolve() : reject(storageError("close", this.#path, error)),
      )
    })
  }

  /** Runs one act on the descriptor, counted, so that `close` can wait for it. */
  #call<Result>(
    act: string,
    start: (resolve: (result: Result) => void, reject: (error: Error) => void) => void,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) {
        reject(this.#closedError(act))
        return
      }
      this.#callsUnderWay++
      start(
        (result) => {
          this.#ended()
          resolve(result)
        },
        (error) => {
          this.#ended()
          reject(storageError(act, this.#path, error))
        },
      )
    })
  }

  #closedError(act: string): EngineError {
    return new EngineError("STORAGE_FAILED", `cannot ${act} ${this.#path}: the file is closed`)
  }

  #ended(): void {
    this.#callsUnderWay--
    if (this.#callsUnderWay === 0) this.#afterLastCall?.()
  }
}
