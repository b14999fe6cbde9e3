// A file system whose calls a test can hold up or refuse, in front of another one.

import type { DirectoryLock, File, FileStatus, FileSystem, OpenMode } from "@varve/engines/internal"

export class GatedFileSystem implements FileSystem {
  readonly #inner: FileSystem
  /** Asked before a file is created; what it rejects with is what the caller gets. */
  beforeCreate: (path: string) => Promise<void> = async () => undefined
  /** Waited for before each read. */
  beforeRead: (path: string, bytes: number, offset: number) => Promise<void> = async () => undefined

  constructor(inner: FileSystem) {
    this.#inner = inner
  }

  open(path: string, mode: "read" | "edit" | "edit-synced"): Promise<File | undefined>
  open(path: string, mode: "create"): Promise<File>
  async open(path: string, mode: OpenMode): Promise<File | undefined> {
    if (mode === "create") {
      await this.beforeCreate(path)
      return this.#inner.open(path, mode)
    }
    const file = await this.#inner.open(path, mode)
    return file === undefined ? undefined : this.#gated(path, file)
  }

  rename(source: string, target: string): Promise<void> {
    return this.#inner.rename(source, target)
  }

  link(source: string, target: string): Promise<boolean> {
    return this.#inner.link(source, target)
  }

  remove(path: string): Promise<void> {
    return this.#inner.remove(path)
  }

  removeDirectory(path: string): Promise<void> {
    return this.#inner.removeDirectory(path)
  }

  makeDirectory(path: string): Promise<void> {
    return this.#inner.makeDirectory(path)
  }

  list(path: string): Promise<string[]> {
    return this.#inner.list(path)
  }

  status(path: string): Promise<FileStatus | undefined> {
    return this.#inner.status(path)
  }

  syncDirectory(path: string): Promise<void> {
    return this.#inner.syncDirectory(path)
  }

  lock(path: string): Promise<DirectoryLock> {
    return this.#inner.lock(path)
  }

  #gated(path: string, file: File): File {
    return {
      read: async (target, offset) => {
        await this.beforeRead(path, target.length, offset)
        return file.read(target, offset)
      },
      write: (source, offset) => file.write(source, offset),
      sync: () => file.sync(),
      truncate: (bytes) => file.truncate(bytes),
      size: () => file.size(),
      close: () => file.close(),
    }
  }
}
