// A run that was written and synced, and could not be opened: a read failed. Nothing is lost by that. What it was made
// from is where it was, in memory or in other runs, and its file is deleted: it is written once more, later.

import { EngineError } from "../base/error.ts"

/** Thrown by `RunDirectory.adopt`. */
export class UnopenedRun extends EngineError {
  constructor(path: string, cause: Error) {
    super("STORAGE_FAILED", `the new run ${path} cannot be opened: ${cause.message}`, { cause })
  }
}
