// A file whose writes are durable when they resolve: what `open` gives in mode `edit-synced`. The system does it in one
// call (O_DSYNC), and where it has none that can be relied on, a sync follows each write.
//
// After a write that failed the file takes no more: nobody knows whether its sync was the reason, and a later one may
// succeed although what the first one lost stays lost. Who wants to mend what it left behind opens the file again.

import { EngineError } from "../base/error.ts"
import type { File } from "./file-system.ts"

export class SyncedFile implements File {
  readonly #file: File
  readonly #path: string
  readonly #syncWritten: ((offset: number, bytes: number) => Promise<void>) | undefined
  #hasFailed = false

  /**
   * @param file which it closes with itself
   * @param syncWritten makes a range durable that was just written; undefined when the write itself did
   */
  constructor(
    file: File,
    path: string,
    syncWritten: ((offset: number, bytes: number) => Promise<void>) | undefined,
  ) {
    this.#file = file
    this.#path = path
    this.#syncWritten = syncWritten
  }

  async write(source: Uint8Array, offset: number): Promise<void> {
    if (this.#hasFailed) {
      throw new EngineError("STORAGE_FAILED", `cannot write ${this.#path}: an earlier write of it failed`)
    }
    try {
      await this.#file.write(source, offset)
      if (this.#syncWritten !== undefined) await this.#syncWritten(offset, source.length)
    } catch (error) {
      this.#hasFailed = true
      throw error
    }
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    return this.#file.read(target, offset)
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  truncate(bytes: number): Promise<void> {
    return this.#file.truncate(bytes)
  }

  size(): Promise<number> {
    return this.#file.size()
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}
