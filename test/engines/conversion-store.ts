// Two versions of a store that engines of another kind, or another number of them, are to put back.

import type { Engine, RestoreResult } from "@varve/engines"
import { type SimulatedFileSystem, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { collidingPairs, FixedHashSeed } from "./colliding-keys.ts"
import { closeAll, openStore, type StoreLayout, setAll, snapshotAll } from "./store-fixture.ts"

const OLD_TIMELINE = "000000001-0000000000000000"
export const NEW_TIMELINE = "000000001-0000000000000001"

/** Contents of version 1, and of version 2: values of all lengths, overwritten, deleted and colliding keys. */
export function contentsOf(version: 1 | 2): Map<string, string> {
  const all = new Map<string, string>()
  for (let i = 0; i < 240; i++) {
    if (version === 2 && i % 7 === 0) continue
    const text = i % 40 === 0 ? "x".repeat(2048) : `${version}.${i} `.repeat(1 + (i % 20))
    all.set(`key:${i}`, i % 3 === 0 ? text : `both ${i}`)
  }
  for (const [first, second] of collidingPairs) {
    all.set(first, `${version} first`)
    if (version === 1) all.set(second, "second")
  }
  return all
}

/** The same with the hash seed under which keys collide. */
export function colliding(seams: SimulatedSeams): SimulatedSeams {
  return { ...seams, random: new FixedHashSeed(seams.random) as unknown as SimulatedSeams["random"] }
}

/** A new store whose partitions share a timeline, with versions 1 and 2. */
export async function openWritten(layout: StoreLayout, seams: SimulatedSeams): Promise<Engine[]> {
  const engines = await openStore(layout, colliding(seams))
  for (const engine of engines) await engine.restore({ empty: true, newTimeline: OLD_TIMELINE })
  const [first, second] = [contentsOf(1), contentsOf(2)]
  await setAll(engines, first)
  await snapshotAll(engines, 1, "offset 1")
  await setAll(engines, new Map([...first.keys()].map((key) => [key, second.get(key) ?? ""])))
  await snapshotAll(engines, 2, "offset 2")
  return engines
}

/** The world after the engines that have written the versions have stopped. */
export async function written(layout: StoreLayout): Promise<SimulatedSeams> {
  const seams = simulatedSeams(1)
  await closeAll(await openWritten(layout, seams))
  return simulatedSeams(2, { fileSystem: seams.fileSystem })
}

export function restoreAll(engines: readonly Engine[], version: number): Promise<RestoreResult[]> {
  return Promise.all(engines.map((engine) => engine.restore({ version, newTimeline: NEW_TIMELINE })))
}

/** Files of a partition that are runs or parts of runs, and how many runs its state file names. */
export function runsIn(disk: SimulatedFileSystem, directory: string): { files: number; named: number } {
  const [line] = Buffer.from(disk.bytesOf(`${directory}/state`))
    .toString()
    .split("\n")
  const state = JSON.parse(line!) as { present: State; replaced: { state: State }[] }
  interface State {
    readonly runs: readonly { readonly id: string }[]
  }
  const states = [state.present, ...state.replaced.map((each) => each.state)]
  return {
    files: disk.paths().filter((path) => path.startsWith(`${directory}/L`)).length,
    named: new Set(states.flatMap(({ runs }) => runs.map(({ id }) => id))).size,
  }
}
