// The identity, the name and the place of a run that is about to be written.

import type { Random } from "../io/random.ts"
import type { RunDirectory } from "./run-directory.ts"
import type { RunSet } from "./run-set.ts"
import type { RunOrigin } from "./run-writer.ts"

const ID_BYTES = 16

/** The state that the run becomes a part of. */
export interface NewRunHost {
  readonly directory: RunDirectory
  readonly random: Random
  readonly runs: Pick<RunSet, "version">
  readonly hashSeed: number
}

/** A fresh identity and number for a run of `level`, written while the newest sealed version is that of the run set. */
export function newRun(
  { directory, random, runs, hashSeed }: NewRunHost,
  level: number,
): { readonly origin: RunOrigin; readonly path: string } {
  const id = Buffer.from(random.bytes(ID_BYTES)).toString("hex")
  const origin = { id, level, run: directory.nextRun(), version: runs.version, hashSeed }
  return { origin, path: directory.pathFor(origin) }
}
