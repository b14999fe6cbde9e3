// A seed that failed at night is worth nothing if it does not fail again. The same seed gives the same calls to the
// disk, in the same order, with the same bytes on it in the end: also while flushes, merges, uploads, snapshots and
// writers overlap, and whatever else the process does meanwhile.

import { type EngineName, engineNames } from "@varve/engines"
import { expect, test } from "vitest"
import { afterPowerLoss, bytes, contents, openTiny } from "../engines/engine-fixture.ts"
import { SimulatedRandom, type SimulatedSeams, simulatedSeams } from "./index.ts"

/** Everything that the disk of a life was asked, and what was on it in the end. */
interface Account {
  readonly calls: readonly string[]
  readonly files: readonly (readonly [path: string, content: string])[]
}

async function account(name: EngineName, seed: number): Promise<Account> {
  const calls: string[] = []
  const seams = simulatedSeams(seed)
  seams.fileSystem.onCall = (words) => void calls.push(words)
  await overlap(name, seams, seed)
  // The chance of what a power loss leaves, and of the life after it, comes from the seed too.
  const next = afterPowerLoss(seams, seed)
  next.fileSystem.onCall = (words) => void calls.push(words)
  const engine = await openTiny(name, next)
  await contents(engine)
  await engine.close()
  const disk = next.fileSystem
  const files = disk.paths().map((path) => [path, Buffer.from(disk.bytesOf(path)).toString("hex")] as const)
  return { calls, files }
}

/** Writers that wait for nothing, and versions that nobody waits for until the end. */
async function overlap(name: EngineName, seams: SimulatedSeams, seed: number): Promise<void> {
  const engine = await openTiny(name, seams)
  const random = new SimulatedRandom(seed)
  const pending: Promise<unknown>[] = []
  for (let version = 1; version <= 8; version++) {
    for (let i = 0; i < 40; i++) {
      await engine.set(bytes(`key:${random.integer(120)}`), random.bytes(random.integer(200)))
    }
    pending.push(engine.snapshot({ version }))
    if (version === 5) await Promise.all(pending)
  }
  await Promise.all(pending)
  await engine.restore({ version: 6 })
  await engine.set(bytes("after"), bytes("the restore"))
  await engine.snapshot({ version: 9 })
}

test.each(engineNames)("%s: the same seed gives the same calls to the disk", async (name) => {
  const alone = await account(name, 7)
  expect(alone.calls.length).toBeGreaterThan(300)
  // Beside another life, and beside timers: the turns of the event loop fall differently.
  const timer = setInterval(() => undefined, 1)
  const [again, other] = await Promise.all([account(name, 7), account(name, 8)])
  clearInterval(timer)
  expect(again.calls).toEqual(alone.calls)
  expect(again.files).toEqual(alone.files)
  expect(other.calls).not.toEqual(alone.calls)
})
