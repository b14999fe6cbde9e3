// What comes up under durability `log` when crashes follow one another, and when the state file is gone.

import { isEngineError } from "@varve/engines"
import { expect, test } from "vitest"
import { type SimulatedFileSystem, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { afterKill, bytes, contents, openDurable, openTiny, read } from "./engine-fixture.ts"

/** Position in the log from which the state file asks for entries; 0 as long as it names no log. */
function replayedFrom(disk: SimulatedFileSystem): number {
  const [json] = Buffer.from(disk.bytesOf("/partition/state")).toString().split("\n")
  return (JSON.parse(json!) as { log?: { from: number } }).log?.from ?? 0
}

test("who crashes again and again before a checkpoint is due by itself does not replay more each time", async () => {
  let seams = simulatedSeams(1)
  let written = 0
  const replayed: number[] = []
  // A checkpoint is made each 6000 bytes; no life writes as many.
  for (let life = 0; life < 12; life++) {
    const engine = await openDurable("hybrid-log", seams)
    replayed.push(written - replayedFrom(seams.fileSystem))
    for (let i = 0; i < 4; i++) {
      await engine.set(bytes(`key ${written % 7}`), bytes(`${written}`.padEnd(500)))
      written++
    }
    // With these the log has grown by 6000 bytes behind what the state file names: a checkpoint is on its way.
    if (replayed.at(-1)! + 4 >= 12) {
      const before = written - replayed.at(-1)! - 4
      await expect.poll(() => replayedFrom(seams.fileSystem)).toBeGreaterThan(before)
    }
    seams = afterKill(seams, life)
  }
  expect(Math.max(...replayed)).toBeLessThanOrEqual(12)
  const engine = await openDurable("hybrid-log", seams)
  expect(await read(engine, `key ${(written - 1) % 7}`)).toBe(`${written - 1}`.padEnd(500))
  await engine.close()
})

/** The disk of a killed partition, its file `state` removed. */
async function withoutState(write: boolean): Promise<SimulatedSeams> {
  const seams = simulatedSeams(1)
  const engine = await openDurable("hybrid-log", seams)
  if (write) await engine.set(bytes("key"), bytes("value"))
  const killed = afterKill(seams)
  await killed.fileSystem.remove("/partition/state")
  expect(killed.fileSystem.paths().filter((path) => path.endsWith(".run"))).toEqual([])
  return killed
}

test.each([
  ["log", openDurable],
  ["snapshot", openTiny],
] as const)("durability %s: a log with writes and no state file is refused, and kept", async (_, open) => {
  const seams = await withoutState(true)
  const before = seams.fileSystem.paths()
  const refused = await open("hybrid-log", seams).catch((error: unknown) => error)
  expect(isEngineError(refused, "DATA_LOSS"), String(refused)).toBe(true)
  expect(String(refused)).toMatch(
    /\/partition has no file "state", but \/partition\/log-[0-9a-f]{32} holds writes/,
  )
  expect(seams.fileSystem.paths()).toEqual(before)
})

test("an empty log and no state file is a partition that was just being made", async () => {
  const engine = await openDurable("hybrid-log", await withoutState(false))
  expect(engine.recovery).toBe("new")
  expect((await contents(engine)).size).toBe(0)
  await engine.close()
})
