// After a write to a segment that failed. Which half of it failed, writing or syncing, nobody can tell: what it left
// is read.
//
//   │ group's │ zeros │ group's │ zeros │     whole sectors: left as they are, an opening tells them from damage
//   │ group's │ gro0000 │ zeros │ zeros │     one in part would be taken for damage: zeros over all of them, synced
//
// Nothing is acknowledged because this succeeds.

import type { File, FileSystem } from "../io/file-system.ts"
import { SECTOR_BYTES } from "./log-format.ts"
import { clearSectors, openSegment, PIECE_BYTES, type WritableSegment } from "./segment-file.ts"

/** Leaves whole sectors only where `group` was to be written. @throws (rejects) EngineError */
export async function mendSegment(
  fileSystem: FileSystem,
  { path, nextSector }: WritableSegment,
  group: Uint8Array,
): Promise<void> {
  const file = await openSegment(fileSystem, path, "edit")
  try {
    if (await areSectorsWhole(file, nextSector, group)) return
    await clearSectors(file, nextSector, group.length / SECTOR_BYTES)
  } finally {
    await file.close()
  }
}

/** A synced file takes nothing more once a write has failed: opens the segment's anew. */
export async function reopenSegment(fileSystem: FileSystem, segment: WritableSegment): Promise<void> {
  const file = await openSegment(fileSystem, segment.path, "edit-synced")
  await segment.file.close()
  segment.file = file
}

/** Whether each sector from `begin` on is as in `group`, or zeros: none was written in part. */
async function areSectorsWhole(file: File, begin: number, group: Uint8Array): Promise<boolean> {
  const zeros = Buffer.alloc(SECTOR_BYTES)
  const piece = Buffer.alloc(Math.min(group.length, PIECE_BYTES))
  for (let at = 0; at < group.length; at += piece.length) {
    const end = Math.min(group.length, at + piece.length)
    await file.read(piece.subarray(0, end - at), begin * SECTOR_BYTES + at)
    for (let sector = at; sector < end; sector += SECTOR_BYTES) {
      const found = piece.subarray(sector - at, sector - at + SECTOR_BYTES)
      const isWhole = found.equals(group.subarray(sector, sector + SECTOR_BYTES)) || found.equals(zeros)
      if (!isWhole) return false
    }
  }
  return true
}
