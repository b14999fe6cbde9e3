// A mark in a store's directory: a start has found partitions without a state of their own, and has not put one back yet.
//
//   new store      mark ── engines are opened, empty ── a version is put back ── mark goes
//   after a crash          engines are opened, empty ── mark ── a version is put back ── mark goes
//
// In between the engines are empty and well: one that is closed after a failed start, or has a log when the process ends,
// would be believed by the next start, which would serve nothing at all. With the mark it puts a version back. A state
// that is whole is never marked: nothing that was acknowledged is given up for it.
//
//   RECOVERING := "new\n" | "crashed\n"        what was found; anything else counts as "crashed"

import { join } from "node:path"
import type { FileSystem } from "@varve/engines/internal"

const FILE_NAME = "RECOVERING"
const CONTENT_BYTES_MAX = 16

export type Unrecovered = "new" | "crashed"

/** What an earlier start has found and not finished; undefined: there is no such start. */
export async function readRecoveryMark(
  fileSystem: FileSystem,
  directory: string,
): Promise<Unrecovered | undefined> {
  const file = await fileSystem.open(join(directory, FILE_NAME), "read")
  if (file === undefined) return undefined
  try {
    const content = new Uint8Array(CONTENT_BYTES_MAX)
    const bytes = await file.read(content, 0)
    return Buffer.from(content.subarray(0, bytes)).toString() === "new\n" ? "new" : "crashed"
  } finally {
    await file.close()
  }
}

/** Sets one where there is none. Durable when it resolves. */
export async function setRecoveryMark(
  fileSystem: FileSystem,
  directory: string,
  found: Unrecovered,
): Promise<void> {
  const file = await fileSystem.open(join(directory, FILE_NAME), "create")
  try {
    await file.write(Buffer.from(`${found}\n`), 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await fileSystem.syncDirectory(directory)
}

/** Durable when it resolves. One that is not there is no error. */
export async function removeRecoveryMark(fileSystem: FileSystem, directory: string): Promise<void> {
  await fileSystem.remove(join(directory, FILE_NAME))
  await fileSystem.syncDirectory(directory)
}
