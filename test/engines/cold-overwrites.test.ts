// Many cold keys overwritten in one batch: their old records are compared behind the writer, a version waits for it, and
// what it says of them stays small.

import { openEngine } from "@varve/engines"
import { definitionOf, InlineExecutor, systemSeams } from "@varve/engines/internal"
import { expect, test, vi } from "vitest"
import { temporaryDirectory } from "../io/temporary-directory.ts"
import { simulatedSeams } from "../simulation/index.ts"
import { bytes, contents, diskEngines, openTiny, read } from "./engine-fixture.ts"
import { GatedExecutor } from "./gated-executor.ts"

const COLD_KEYS = 60_000
const OVERWRITTEN = 45_000
/** More than the memory of each engine below: it pushes the cold keys out. */
const FILLER_BYTES = 8 * 1024 * 1024
const VALUE_BYTES = 2000

/** Memory for the overwrites at once. */
const RUN_BYTES = 2 * 1024 * 1024

const directory = temporaryDirectory()

function batch(from: number, to: number, value: string): { key: Uint8Array; value: Uint8Array }[] {
  return Array.from({ length: to - from }, (_, i) => ({ key: bytes(`k${from + i}`), value: bytes(value) }))
}

test.each(diskEngines)(
  "%s: a version made right behind a batch of overwrites of cold keys can be put back",
  async (name) => {
    const seams = systemSeams({ threads: 2 })
    try {
      const engine = await openEngine({
        engine: name,
        directory: `${directory}/${name}`,
        repository: `file:${directory}/${name}-repository`,
        settings: { ...definitionOf(name).settingsFor(RUN_BYTES), maxRunsPerLevel: 8 },
        valueBytesMax: VALUE_BYTES,
        seams,
      })
      for (let i = 0; i < COLD_KEYS; i += 5000) await engine.write(batch(i, i + 5000, "a"))
      await engine.snapshot({ version: 1 })
      const filler = Buffer.alloc(VALUE_BYTES, 1)
      for (let i = 0; i * VALUE_BYTES < FILLER_BYTES; i++) await engine.set(bytes(`fill${i}`), filler)
      await engine.snapshot({ version: 2 })
      const before = engine.statistics().diskReadCount
      await vi.waitFor(async () => {
        await read(engine, "k1")
        expect(engine.statistics().diskReadCount).toBeGreaterThan(before)
      })
      const written = engine.write(batch(0, OVERWRITTEN, "b"))
      const snapshot = engine.snapshot({ version: 3 })
      await Promise.all([written, snapshot])
      await engine.restore({ version: 3 })
      for (const at of [0, 77, OVERWRITTEN - 1]) expect(await read(engine, `k${at}`)).toBe("b")
      for (const at of [OVERWRITTEN, COLD_KEYS - 1]) expect(await read(engine, `k${at}`)).toBe("a")
      await engine.close()
    } finally {
      await seams.close()
    }
  },
)

/** Engines whose index has no keys, so that old records are compared. */
const hashedEngines = ["append-log", "hybrid-log"] as const
const TURNS = 500
/** Large enough for the overwrites, too small for what was there before. */
const smallSettings = {
  "append-log": { threshold: 65_536, maxRunsPerLevel: 8 },
  "hybrid-log": { memSegmentLength: 4096, roLagInterval: 8192, flushInterval: 65_536, maxRunsPerLevel: 8 },
} as const

test.each(hashedEngines)(
  "%s: a version waits until old records are compared, and names none of their keys",
  async (name) => {
    const seams = simulatedSeams(1)
    const gate = new GatedExecutor(new InlineExecutor(seams), (job) => job === "compareKeys")
    const engine = await openTiny(name, { ...seams, executor: gate }, smallSettings[name])
    await engine.write(batch(0, 2000, "a"))
    await engine.snapshot({ version: 1 })
    for (let i = 0; i < 600; i++) await engine.set(bytes(`fill${i}`), Buffer.alloc(1000, 1))
    await engine.snapshot({ version: 2 })
    const written = engine.write(batch(0, 1500, "b"))
    let isCommitted = false
    const snapshot = engine.snapshot({ version: 3 }).then(() => {
      isCommitted = true
    })
    for (let turn = 0; turn < TURNS; turn++) await seams.clock.nextTurn()
    expect(gate.waitingCount).toBeGreaterThan(0)
    expect(isCommitted).toBe(false)
    gate.open()
    await Promise.all([written, snapshot])
    const path = seams.fileSystem.paths().find((each) => /\/0{15}3\b.*manifest$/.test(each))!
    const [line] = Buffer.from(seams.fileSystem.bytesOf(path)).toString().split("\n")
    expect(JSON.parse(line!)).toMatchObject({ engineState: { sharedHashes: [] } })
    const state = await contents(engine)
    await engine.restore({ version: 3 })
    expect(await contents(engine)).toEqual(state)
    await engine.close()
  },
)
