// The identity and name of a run that is about to be written.

import type { Random } from "../io/random.ts"
import type { RunDirectory } from "./run-directory.ts"
import type { RunOrigin } from "./run-writer.ts"

const ID_BYTES = 16

/** A fresh identity and run number for a run of `level`, written while `version` is the newest sealed one. */
export function newRunOrigin(
  directory: RunDirectory,
  random: Random,
  { level, version }: { readonly level: number; readonly version: number },
): Omit<RunOrigin, "hashSeed"> {
  return { id: Buffer.from(random.bytes(ID_BYTES)).toString("hex"), level, run: directory.nextRun(), version }
}
