// An engine that cannot be opened gives back everything that it had taken: every call to the disk is made to fail, one
// after the other, while a state with versions, a replaced state and a crash behind it is opened.

import { engineNames } from "@varve/engines"
import { isEngineError } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { type CallKind, simulatedSeams } from "../simulation/index.ts"
import { bytes, openTiny, tinyEngine } from "./engine-fixture.ts"

const kinds: readonly CallKind[] = [
  "open",
  "read",
  "write",
  "sync",
  "rename",
  "remove",
  "syncDirectory",
  "list",
  "status",
]

/** A call to the disk that failed is an error of the engine, and nothing else is. */
function refused(error: unknown): undefined {
  if (!isEngineError(error)) throw error
}

test.each(engineNames)("%s: a failed open leaves no descriptor", async (name) => {
  const { engine, seams } = await tinyEngine(name)
  for (const v of [1, 2, 3]) {
    await engine.set(bytes(`a${v}`), bytes(`${v}`))
    await engine.snapshot({ version: v })
  }
  await engine.restore({ version: 2 })
  const crashed = seams.fileSystem.restartProcess(2)
  let failures = 0
  for (const kind of kinds) {
    for (let nth = 1; ; nth++) {
      const disk = crashed.copy(2)
      disk.failNth(kind, nth)
      const opened = await openTiny(name, simulatedSeams(nth, { fileSystem: disk })).catch(refused)
      if (opened === undefined) failures++
      // A fault that comes after the opening meets the close.
      await opened?.close().catch(refused)
      expect(disk.openPaths, `${kind} ${nth} fails`).toEqual([])
      if (!disk.wasFaultMet) break
    }
  }
  expect(failures).toBeGreaterThan(20)
})
