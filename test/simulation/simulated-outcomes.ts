// For tests of the simulated disk: what power loss leaves of the same calls, over many seeds.

import type { File } from "@varve/engines/internal"
import { SimulatedFileSystem } from "./index.ts"

export const SEEDS = Array.from({ length: 200 }, (_, seed) => seed)
export const SECTOR = 512

export function filled(bytes: number, value: number): Uint8Array {
  return new Uint8Array(bytes).fill(value)
}

/** A durable file `/a` of `bytes` bytes of 1, open for editing. */
export async function durableFile(disk: SimulatedFileSystem, bytes: number): Promise<File> {
  const file = await disk.open("/a", "create")
  await file.write(filled(bytes, 1), 0)
  await file.sync()
  await disk.syncDirectory("/")
  return file
}

/** For every seed: does `act` to a new disk, then tells what power loss left of it. */
export async function outcomes(
  act: (disk: SimulatedFileSystem) => Promise<void>,
  describe: (after: SimulatedFileSystem) => string,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const seed of SEEDS) {
    const disk = new SimulatedFileSystem({ seed })
    await act(disk)
    const outcome = describe(disk.restart())
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  }
  return counts
}

export function sortedKeys(counts: Map<string, number>): string[] {
  return [...counts.keys()].sort()
}
