// What the engine `memory` says of the runs of a dump, in the engine state that versions and state files carry. Without
// it each key is in one record only, and none is a tombstone; a patched dump has newer runs above others, as any engine.

import { z } from "zod"
import { EngineError } from "../base/error.ts"

export interface DumpState {
  /** Runs with what was written since lie above runs that were not read whole meanwhile. */
  readonly isPatched: boolean
}

/** Written before there were patches: without the field. */
const dumpStateSchema = z.looseObject({ isPatched: z.boolean().default(false) })

/** @param engineState null for a new state. @throws EngineError `DATA_LOSS` */
export function readDumpState(engineState: unknown): DumpState {
  const parsed = dumpStateSchema.safeParse(engineState ?? {})
  if (parsed.success) return { isPatched: parsed.data.isPatched }
  throw new EngineError(
    "DATA_LOSS",
    `the version's engine state is not readable: ${z.prettifyError(parsed.error)}`,
  )
}
