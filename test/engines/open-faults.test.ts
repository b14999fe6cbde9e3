// An engine that cannot be opened gives back everything that it had taken: every call to the disk is made to fail, one
// after the other, while a state with versions, a replaced state and a crash behind it is opened.

import { expect, test } from "vitest"
import { simulatedSeams } from "../simulation/index.ts"
import { afterKill, bytes, openTiny, tinyEngine } from "./engine-fixture.ts"

test("a failed open leaves no descriptor", async () => {
  const { engine, seams } = await tinyEngine("hybrid-log")
  for (const v of [1, 2, 3]) {
    await engine.set(bytes(`a${v}`), bytes(`${v}`))
    await engine.snapshot({ version: v })
  }
  await engine.restore({ version: 2 })
  const crashed = (of: typeof seams) => afterKill(of, 2)
  let fs = seams.fileSystem
  const leaks: string[] = []
  for (const kind of [
    "open",
    "read",
    "write",
    "sync",
    "rename",
    "remove",
    "syncDirectory",
    "list",
    "status",
  ] as const) {
    for (let nth = 1; nth < 40; nth++) {
      fs = crashed(seams).fileSystem
      fs.failNth(kind, nth)
      const opened = await openTiny("hybrid-log", simulatedSeams(nth, { fileSystem: fs })).catch(
        () => undefined,
      )
      if (opened !== undefined) {
        await opened.close().catch(() => undefined)
        if (fs.openPaths.length > 0) leaks.push(`closed, ${kind} ${nth}: ${fs.openPaths.length}`)
        continue
      }
      if (fs.openPaths.length > 0) leaks.push(`${kind} ${nth}: ${fs.openPaths.length}`)
    }
  }
  expect(leaks).toEqual([])
})
