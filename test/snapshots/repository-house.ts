// A repository on a simulated disk for tests, with runs to store in it.

import {
  DirectoryObjectStore,
  type ObjectStore,
  Repository,
  type RunToStore,
  type StoredRun,
} from "@varve/engines/internal"
import { expect } from "vitest"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { makeRun, type RunOptions } from "./make-run.ts"

/** A repository on a simulated disk, and what it stands on. */
export interface House {
  readonly seams: SimulatedSeams
  readonly objectStore: ObjectStore
  readonly repository: Repository
}

export async function open(seams = simulatedSeams(1)): Promise<House> {
  await seams.fileSystem.makeDirectory("/runs")
  const objectStore = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
  return { seams, objectStore, repository: await Repository.open(objectStore, seams) }
}

export async function addRun({ seams }: House, name: string, options: RunOptions): Promise<RunToStore> {
  const path = `/runs/${name}`
  return { figures: await makeRun(seams.fileSystem, path, options), path }
}

export async function expectFetched(
  { seams, repository }: House,
  stored: StoredRun,
  path: string,
): Promise<void> {
  await repository.fetchRun(stored, "/runs/back")
  expect(Buffer.compare(seams.fileSystem.bytesOf("/runs/back"), seams.fileSystem.bytesOf(path))).toBe(0)
  await seams.fileSystem.remove("/runs/back")
}

export function packs({ seams }: House): string[] {
  return seams.fileSystem.paths().filter((path) => path.endsWith(".pack"))
}
