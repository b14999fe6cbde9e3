// Many reads of records on disk at once: no more than a fixed number ask the disk, the others wait their turn, and
// each answers with the state of the moment in which it was called.

import { READS_AT_ONCE_MAX, RUN_BLOCK_BYTES } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { simulatedSeams } from "../simulation/index.ts"
import { bytes, openTiny, tinySettings } from "./engine-fixture.ts"
import { GatedFileSystem } from "./gated-file-system.ts"

const KEYS = 600

const valueFor = (i: number, round: number): string => `${i}/${round};`.padEnd(1000, "x")

test.each(["append-log", "hybrid-log", "lsm-tree"] as const)(
  "%s: of hundreds of cold reads at once some ask the disk, the others wait, all are right",
  async (name) => {
    const seams = simulatedSeams(1)
    const fileSystem = new GatedFileSystem(seams.fileSystem)
    const settings = { ...(tinySettings[name] as object), compactionEnabled: false }
    const engine = await openTiny(name, { ...seams, fileSystem }, settings, 0)
    for (let i = 0; i < KEYS; i++) await engine.set(bytes(`key ${i}`), bytes(valueFor(i, 0)))
    await engine.snapshot({ version: 1 })

    let underWay = 0
    let most = 0
    fileSystem.beforeRead = async (_, length) => {
      // Others read what flushes have written.
      if (length !== RUN_BLOCK_BYTES) return
      most = Math.max(most, ++underWay)
      for (let i = 0; i < 3; i++) await seams.clock.nextTurn()
      underWay--
    }
    const reads = Array.from({ length: KEYS }, async (_, i) => await engine.get(bytes(`key ${i}`)))
    for (let i = 0; i < KEYS; i += 6) void engine.set(bytes(`key ${i}`), bytes(valueFor(i, 1)))
    const values = await Promise.all(reads)
    expect(values.map((value) => Buffer.from(value!).toString())).toEqual(
      values.map((_, i) => valueFor(i, 0)),
    )
    expect(most).toBe(READS_AT_ONCE_MAX)
    await engine.close()
  },
)
