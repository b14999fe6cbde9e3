// A log on a simulated disk, in segments of 4096 bytes unless given otherwise.

import { type FileSystem, isEngineError, Log, type LogOptions } from "@varve/engines/internal"
import { expect } from "vitest"
import { SimulatedClock, SimulatedFileSystem } from "../simulation/index.ts"

export const ID = "000102030405060708090a0b0c0d0e0f"
export const SEGMENT = "/log/0000000001.log"

/** What is not as usual: segments of 4096 bytes, a clock whose sleeps end by themselves, nobody who hears of failures. */
export interface Given {
  readonly segmentBytes?: number
  readonly clock?: SimulatedClock
  readonly failures?: unknown[]
}

export function options(fileSystem: FileSystem, given: Given = {}): LogOptions {
  return {
    fileSystem,
    clock: given.clock ?? new SimulatedClock({ autoAdvance: true }),
    directory: "/log",
    id: ID,
    segmentBytes: given.segmentBytes ?? 4096,
    onFailure: (error) => given.failures?.push(error),
    onWarning: (error) => {
      throw error
    },
  }
}

export async function entriesOf(log: Log, from = 0): Promise<string[]> {
  const entries: string[] = []
  for await (const { bytes } of log.read(from)) entries.push(Buffer.from(bytes).toString())
  return entries
}

export async function append(log: Log, ...entries: string[]): Promise<void> {
  const last = entries.map((entry) => log.append(Buffer.from(entry))).at(-1)!
  await log.synced(last)
}

/** A closed log of these groups, each synced by itself. */
export async function written(
  groups: readonly (readonly string[])[],
  given: Given = {},
): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const log = await Log.create(options(disk, given))
  for (const group of groups) await append(log, ...group)
  await log.close()
  return disk
}

export async function reopened(disk: SimulatedFileSystem, expectedEnd?: number, from = 0): Promise<string[]> {
  const log = await Log.open(options(disk), from, expectedEnd)
  const entries = await entriesOf(log, from)
  await log.close()
  return entries
}

export async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (isEngineError(error)) return error.reason
    throw error
  }
  return "none"
}

/** Resolves when so many segments are there, none of them half made. */
export async function preparedIn(disk: SimulatedFileSystem, count: number): Promise<void> {
  await expect
    .poll(() => disk.paths().join(" "))
    .toBe(Array.from({ length: count }, (_, i) => `/log/000000000${i + 1}.log`).join(" "))
  // The name is made durable behind it.
  await expect.poll(() => disk.trace.at(-1)).toMatch(/syncDirectory|sync/)
}
