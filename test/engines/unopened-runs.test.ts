// A run that is on disk and cannot be opened, because a read of it fails, harms nothing: what it holds is still in
// memory. The version that waits for it is refused, reads and writes go on, and it is written once more.

import { engineNames, isEngineError } from "@varve/engines"
import { expect, test } from "vitest"
import { simulatedSeams } from "../simulation/index.ts"
import { afterPowerLoss, bytes, contents, openTiny, read } from "./engine-fixture.ts"

const PARTITION_FILE = /(open|read|size) \/partition\/L[^ ]*\.run( |$)/

test.each(engineNames)("%s: a new run that cannot be opened is written once more", async (name) => {
  for (const nth of [1, 2, 3]) {
    const seams = simulatedSeams(nth)
    const engine = await openTiny(name, seams)
    for (let i = 0; i < 20; i++) await engine.set(bytes(`key ${i}`), bytes(`value ${i}`))
    let count = 0
    let failed = ""
    // The first calls for the file of a run, under its final name, are those that open it.
    seams.fileSystem.onCall = (words) => {
      const kind = PARTITION_FILE.exec(words)?.[1]
      if (kind === undefined || failed !== "" || ++count < nth) return
      failed = words
      seams.fileSystem.failNth(kind as "open" | "read" | "size", 1)
    }
    const refused = await engine.snapshot({ version: 1 }).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(failed, `call ${nth} of an opening`).not.toBe("")
    expect(isEngineError(refused, "STORAGE_FAILED"), String(refused)).toBe(true)
    expect(await read(engine, "key 7")).toBe("value 7")
    await engine.set(bytes("key 7"), bytes("written since"))
    await engine.snapshot({ version: 1 })
    const state = await contents(engine)
    expect([state.size, state.get("key 7")]).toEqual([20, "written since"])
    const runs = seams.fileSystem.paths().filter((path) => path.startsWith("/partition/L"))
    expect(runs).toHaveLength(engine.runs().length)
    await engine.close()
    const again = await openTiny(name, afterPowerLoss(seams))
    expect(await contents(again)).toEqual(state)
    await again.close()
  }
})
