// The files of segments: prepared ahead of time, read, removed.
//
//   0000000007.log.tmp ── zeros, sync ── rename to 0000000007.log ── sync directory ── open again, for synced writes
//
// A file with its final name therefore is as long as its header says, and durably so: what is written into it
// later changes bytes and nothing else, and finds its room taken.

import { join } from "node:path"
import type { File, FileSystem } from "../io/file-system.ts"
import {
  checkSegmentHeader,
  encodeSegmentHeader,
  logDamage,
  SECTOR_BYTES,
  type SegmentName,
  segmentSeed,
} from "./log-format.ts"

const NAME = /^(\d{10,16})\.log$/
const NUMBER_DIGITS = 10
/** Bytes written or read at a time. */
export const PIECE_BYTES = 1024 * 1024

/** A segment that entries are written to. */
export interface WritableSegment {
  readonly number: number
  readonly path: string
  /** Opened for writes that are synced. */
  file: File
  /** Checksums start from it. */
  readonly seed: number
  readonly sectorCount: number
  /** First sector that holds nothing. */
  nextSector: number
}

/** Number of the segment in a file of this name; undefined when it is none. */
export function segmentNumber(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** Where a segment lies. */
export function segmentPath(directory: string, number: number): string {
  return join(directory, `${String(number).padStart(NUMBER_DIGITS, "0")}.log`)
}

/** Makes an empty segment of `sectorCount` sectors, in the place of one of this number that holds nothing. */
export async function createSegment(
  fileSystem: FileSystem,
  directory: string,
  name: SegmentName,
  sectorCount: number,
): Promise<WritableSegment> {
  const path = segmentPath(directory, name.number)
  const temporary = `${path}.tmp`
  const bytes = sectorCount * SECTOR_BYTES
  await fileSystem.remove(temporary)
  const file = await fileSystem.open(temporary, "create")
  try {
    const piece = Buffer.alloc(Math.min(PIECE_BYTES, bytes))
    const header = encodeSegmentHeader(name, bytes)
    for (let at = 0; at < bytes; at += piece.length) {
      if (at === 0) header.copy(piece)
      else if (at === piece.length) piece.fill(0, 0, SECTOR_BYTES)
      await file.write(piece.subarray(0, Math.min(piece.length, bytes - at)), at)
    }
    await file.sync()
    await fileSystem.rename(temporary, path)
    await fileSystem.syncDirectory(directory)
  } catch (error) {
    await file.close()
    await fileSystem.remove(temporary)
    throw error
  }
  await file.close()
  return editSegment(fileSystem, directory, name, { sectorCount, nextSector: 1 })
}

/**
 * The bytes of a segment from its beginning to `endSector`, or all of them; the header is checked.
 * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `STORAGE_FAILED`
 */
export async function readSegment(
  fileSystem: FileSystem,
  directory: string,
  name: SegmentName,
  endSector?: number,
): Promise<Buffer> {
  const path = segmentPath(directory, name.number)
  const file = await fileSystem.open(path, "read")
  if (file === undefined) throw logDamage(path, 0, "the file is missing")
  try {
    const fileBytes = await file.size()
    const bytes = Buffer.allocUnsafe(endSector === undefined ? fileBytes : endSector * SECTOR_BYTES)
    const count = await file.read(bytes, 0)
    checkSegmentHeader(bytes, name, fileBytes, path)
    if (count !== bytes.length) throw logDamage(path, count, "it ends too early")
    return bytes
  } finally {
    await file.close()
  }
}

/** Opens a segment that is there for synced writes from `nextSector` on. */
export async function editSegment(
  fileSystem: FileSystem,
  directory: string,
  name: SegmentName,
  place: { readonly sectorCount: number; readonly nextSector: number },
): Promise<WritableSegment> {
  const path = segmentPath(directory, name.number)
  const file = await openSegment(fileSystem, path, "edit-synced")
  return { number: name.number, path, file, seed: segmentSeed(name), ...place }
}

/** The file of a segment that is there; the caller closes it. @throws (rejects) EngineError `DATA_LOSS` */
export async function openSegment(
  fileSystem: FileSystem,
  path: string,
  mode: "edit" | "edit-synced",
): Promise<File> {
  const file = await fileSystem.open(path, mode)
  if (file === undefined) throw logDamage(path, 0, "the file is missing")
  return file
}

/** Writes zeros over sectors of a segment, durably: whatever is there was never acknowledged. */
export async function clearSectors(file: File, begin: number, sectorCount: number): Promise<void> {
  const zeros = Buffer.alloc(Math.min(sectorCount * SECTOR_BYTES, PIECE_BYTES))
  const end = (begin + sectorCount) * SECTOR_BYTES
  for (let at = begin * SECTOR_BYTES; at < end; at += zeros.length) {
    await file.write(zeros.subarray(0, Math.min(zeros.length, end - at)), at)
  }
  await file.sync()
}
