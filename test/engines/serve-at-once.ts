// States of any size are served before their index, or their records, are loaded.

import type { EngineName } from "@varve/engines"
import { definitionOf } from "@varve/engines/internal"
import { vi } from "vitest"

/** From now on no state of this engine is so small that it is loaded before it is served, unless it has too many runs. */
export function serveAtOnce(name: EngineName, runsMax = 1000): void {
  const definition = definitionOf(name)
  const { open } = definition
  vi.spyOn(definition, "open").mockImplementation((host, state) =>
    open(
      Object.assign({ ...host }, { recordsAtOnceMax: 0, bytesAtOnceMax: 0, sliceRecords: 16, runsMax }),
      state,
    ),
  )
}
