// The one door to the disk. Nothing else in this package touches files, so that a test can stop at every
// call, tear every write and forget whatever was not synced.
//
// Rules its users keep: publish by write, sync the file, rename, sync the directory, and only then delete
// what was replaced. Never rely on the order of two files without a sync between them. After a failed sync
// nothing more is acknowledged, and the sync is not tried again.

/** An open file. One owner, who closes it. Calls may overlap; each states its own offset. */
export interface File {
  /**
   * Reads into `target` from `offset` of the file until `target` is full or the file ends.
   * Resolves the bytes read, fewer than `target.length` only at the end of the file.
   * @throws EngineError `STORAGE_FAILED`
   */
  read(target: Uint8Array, offset: number): Promise<number>
  /**
   * Writes all of `source` at `offset`. The caller leaves `source` alone until this resolves.
   * A short write is a failure. Durable only after `sync`.
   * @throws EngineError `STORAGE_FULL` (no space: may be tried again later), `STORAGE_FAILED`
   */
  write(source: Uint8Array, offset: number): Promise<void>
  /**
   * Resolves when everything written to this file before the call survives power loss.
   * @throws EngineError `STORAGE_FAILED`: what was written may be gone; do not try again on this file.
   */
  sync(): Promise<void>
  /** Cuts the file to `bytes`. */
  truncate(bytes: number): Promise<void>
  /** Length in bytes. */
  size(): Promise<number>
  close(): Promise<void>
}

/** What readers need of a file. */
export type ReadableFile = Pick<File, "read" | "size" | "close">

/**
 * How a file is opened: `read` must exist; `create` must not exist; `edit` must exist, reads and writes. `edit-synced` is
 * `edit` with writes that are durable when they resolve: those bytes, and no others that were written before. In this mode
 * a write that failed may be on disk, in part or whole, and the file takes no more writes: open it again to mend it.
 */
export type OpenMode = "read" | "create" | "edit" | "edit-synced"

export interface FileStatus {
  readonly bytes: number
  readonly modifiedMs: number
  readonly isDirectory: boolean
}

/** A held lock; it is lost with the process. */
export interface DirectoryLock {
  release(): Promise<void>
}

/** Paths are absolute. Every method rejects with EngineError `STORAGE_FAILED` when the system refuses. */
export interface FileSystem {
  /** Opens a file. A file that must exist and is missing gives `undefined`. */
  open(path: string, mode: "read" | "edit" | "edit-synced"): Promise<File | undefined>
  open(path: string, mode: "create"): Promise<File>
  /** Atomic replacement of `target` by `source`. Durable after `syncDirectory` of both directories. */
  rename(source: string, target: string): Promise<void>
  /** A second name for a file. Resolves false, and changes nothing, when `target` exists. Atomic. */
  link(source: string, target: string): Promise<boolean>
  /** Removes a file. A file that is missing is no error. */
  remove(path: string): Promise<void>
  /** Removes a directory and all it holds. A directory that is missing is no error. */
  removeDirectory(path: string): Promise<void>
  /** Makes a directory and those above it; each new name is durable when this resolves. */
  makeDirectory(path: string): Promise<void>
  /** Names in a directory, sorted; a directory that is missing is empty. */
  list(path: string): Promise<string[]>
  status(path: string): Promise<FileStatus | undefined>
  /** Resolves when names created, renamed or removed in `path` before the call survive power loss. */
  syncDirectory(path: string): Promise<void>
  /**
   * Takes the one lock of a directory (which must exist) for this process.
   * @throws EngineError `DIRECTORY_LOCKED`, naming the process that holds it.
   */
  lock(path: string): Promise<DirectoryLock>
}
