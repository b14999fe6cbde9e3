// The file of drills: whatever it holds, it is what was written or it counts as none.

import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeFileSystem } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { type DrillHistory, type DrillReport, drillFiles, firstDamage } from "./drill-file.ts"

const PASSED: DrillReport = {
  ...{ version: 4, timeline: "a", isPassed: true, damage: [], endedMs: 7000.5, createdMs: 5, seconds: 0.25 },
  ...{ bytesRead: 1200, stateBytes: 1000, recovery: { firstAnswerSeconds: 0.125, completeSeconds: 8 } },
}
const HISTORY: DrillHistory = {
  scheduledSinceMs: 3,
  last: { ...PASSED, isPassed: false, recovery: null, damage: firstDamage(["pack a is damaged"]) },
  passed: PASSED,
}

test("drill file: what was written is read; with any byte changed, or cut off, it is refused", async () => {
  const directory = await mkdtemp(join(tmpdir(), "varve-drill-"))
  try {
    await mkdir(join(directory, "s"))
    const files = drillFiles(new NodeFileSystem(), directory)
    expect(await files.read("s")).toBeUndefined()
    for (const history of [HISTORY, { scheduledSinceMs: 0, last: null, passed: null }, HISTORY]) {
      await files.write("s", history)
      expect(await files.read("s")).toEqual(history)
    }
    const path = join(directory, "s", "drill.json")
    const whole = await readFile(path)
    for (let at = 0; at < whole.length; at += 7) {
      const changed = Buffer.from(whole)
      changed[at]! ^= 1
      for (const bytes of [changed, whole.subarray(0, at)]) {
        await writeFile(path, bytes)
        await expect(files.read("s")).rejects.toMatchObject({ reason: "DATA_LOSS" })
      }
    }
  } finally {
    await rm(directory, { recursive: true })
  }
})

test("drill file: of much damage the beginning is kept, and the file can be read", async () => {
  const directory = await mkdtemp(join(tmpdir(), "varve-drill-"))
  try {
    await mkdir(join(directory, "s"))
    const files = drillFiles(new NodeFileSystem(), directory)
    const damage = firstDamage(Array.from({ length: 1000 }, () => "€".repeat(5000)))
    const last = { ...PASSED, isPassed: false, recovery: null, damage }
    const history = { scheduledSinceMs: 0, last, passed: PASSED }
    await files.write("s", history)
    expect(await files.read("s")).toEqual(history)
  } finally {
    await rm(directory, { recursive: true })
  }
})
