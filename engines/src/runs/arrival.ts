// A run on its way: its file here is not whole yet, and what is missing comes from somewhere else. Readers see no
// difference but time. Where it comes from is not this folder's business: `snapshots/arriving-run.ts`.

import type { ReadableFile } from "../io/file-system.ts"

/** Behind the name that the file gets when it is whole. */
export const ARRIVING_SUFFIX = ".part"

export interface Arrival {
  /**
   * Reads what is here, and fetches what is not. Closing it ends the fetching, and leaves what has come where it is:
   * at `path` when it is whole, else at `path` with ARRIVING_SUFFIX.
   * Reads reject with EngineError `DATA_LOSS`, `REPOSITORY_FAILED`, `STORAGE_FAILED`.
   */
  readonly file: ReadableFile
  /** True once all of the run is at `path`, checked and durable. */
  readonly isWhole: boolean
  /** Bytes of the run that are here. */
  readonly bytesLocal: number
  /** Bytes of the run that were asked for and are damaged where they come from. */
  readonly bytesDamaged: number
  /** Resolves when it is whole; never when it is closed before. */
  whole(): Promise<void>
  /** The same, for who wants to know at once why it cannot be: rejects with the first failure from now on. */
  complete(): Promise<void>
}
