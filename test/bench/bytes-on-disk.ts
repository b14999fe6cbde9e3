// What a store takes on disk, told the same way for all.

import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"

/** Bytes that the files below `directory` take: of a sparse one, what is there. */
export function bytesOnDisk(directory: string): number {
  let bytes = 0
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    // A merge may remove a file meanwhile.
    const found = statSync(join(directory, name), { throwIfNoEntry: false })
    if (found?.isFile()) bytes += found.blocks * 512
  }
  return bytes
}
