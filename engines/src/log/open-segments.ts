// What a log's directory holds when it is opened: its segments, checked from the first byte to the last, and where
// the entries end. A torn group is cut off here, and of a log that was not closed the last group is made durable.
//
//   segments   [3] [4]     [6] [7] [8 empty]      6 to 8 are the log; 3 and 4 had been removed, and a crash has
//                                                 brought their names back
//   a group follows the one before without a gap, across segments; only the last segment may end in a torn one
//
// Empty is the segment that was prepared for what comes next, and the first one of a new log. At least one segment
// holds entries otherwise: `trim` leaves the last.

import { join } from "node:path"
import type { Clock } from "../io/clock.ts"
import type { FileSystem } from "../io/file-system.ts"
import { logDamage, SECTOR_BYTES, segmentSeed } from "./log-format.ts"
import {
  clearSectors,
  editSegment,
  openSegment,
  readSegment,
  segmentNumber,
  segmentPath,
  type WritableSegment,
} from "./segment-file.ts"
import { SegmentScan } from "./segment-scan.ts"

/** Bytes checked in one turn of the event loop: about 2 ms. */
const SLICE_BYTES = 1024 * 1024

/** A segment that is there. */
export interface ScannedSegment {
  readonly number: number
  bytes: number
  /** Positions of the entries: `[first, end)`; the same when there are none. */
  first: number
  end: number
  /** First sector of the last group; the same as `nextSector` when there is none. */
  lastGroup: number
  /** First sector that holds nothing. */
  nextSector: number
}

export interface OpenSegments {
  /** By number; at least one. The last one that holds entries, or the first of all, takes the next ones. */
  readonly segments: readonly ScannedSegment[]
  readonly currentIndex: number
  /** Position behind the last entry. */
  readonly end: number
}

export interface OpenedLog {
  readonly fileSystem: FileSystem
  readonly clock: Clock
  readonly directory: string
  readonly id: string
}

/**
 * Checks the log in a directory and cuts a torn group off.
 * @param from the first position that is needed
 * @param expectedEnd where the log ended when it was closed; undefined when it was not closed
 * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `STORAGE_FAILED`
 */
export async function openSegments(
  log: OpenedLog,
  from: number,
  expectedEnd: number | undefined,
): Promise<OpenSegments> {
  const numbers = await currentNumbers(log)
  const segments: ScannedSegment[] = []
  let torn: { readonly segment: ScannedSegment; readonly endSector: number } | undefined
  let end: number | undefined
  for (const number of numbers) {
    const segment: ScannedSegment = {
      number,
      bytes: 0,
      first: end ?? 0,
      end: end ?? 0,
      lastGroup: 1,
      nextSector: 1,
    }
    segments.push(segment)
    const tornEnd = await scanSegment(log, segment, end)
    const isWritten = segment.end > segment.first || tornEnd > 0
    if (torn !== undefined && isWritten) {
      const path = segmentPath(log.directory, torn.segment.number)
      const offset = torn.segment.nextSector * SECTOR_BYTES
      throw logDamage(path, offset, "sectors of a group are missing, and another segment follows")
    }
    if (segment.end > segment.first) end = segment.end
    if (tornEnd > 0) torn = { segment, endSector: tornEnd }
  }
  const foundEnd = checkRange(log, segments, end, from, expectedEnd)
  if (torn !== undefined) {
    if (expectedEnd !== undefined) {
      const path = segmentPath(log.directory, torn.segment.number)
      throw logDamage(path, torn.segment.nextSector * SECTOR_BYTES, "it was closed, and a group is torn")
    }
    const { number, nextSector } = torn.segment
    const file = await openSegment(log.fileSystem, segmentPath(log.directory, number), "edit")
    try {
      await clearSectors(file, nextSector, torn.endSector - nextSector)
    } finally {
      await file.close()
    }
  }
  const last = segments.findLastIndex((segment) => segment.end > segment.first)
  if (expectedEnd === undefined) await confirm(log, segments[Math.max(0, last)]!)
  return { segments, currentIndex: Math.max(0, last), end: foundEnd }
}

/**
 * Whether something was ever written to the log, as far as its directory shows: a segment is missing at the beginning, or
 * one is not empty. Nothing is checked further. @throws (rejects) EngineError as `openSegments`
 */
export async function holdsEntries(log: OpenedLog): Promise<boolean> {
  const names = await log.fileSystem.list(log.directory)
  const numbers = names.flatMap((name) => segmentNumber(name) ?? [])
  if (numbers.length > 0 && !numbers.includes(1)) return true
  for (const number of numbers) {
    const bytes = await readSegment(log.fileSystem, log.directory, { id: log.id, number })
    if (bytes.subarray(SECTOR_BYTES).some((byte) => byte !== 0)) return true
  }
  return false
}

/** Opens a scanned segment for writing. */
export function editScanned(log: OpenedLog, segment: ScannedSegment): Promise<WritableSegment> {
  const { number, bytes, nextSector } = segment
  return editSegment(
    log.fileSystem,
    log.directory,
    { id: log.id, number },
    { sectorCount: bytes / SECTOR_BYTES, nextSector },
  )
}

/** The numbers that follow one another up to the highest; files that do not belong to them are removed. */
async function currentNumbers(log: OpenedLog): Promise<number[]> {
  const { fileSystem, directory } = log
  const names = await fileSystem.list(directory)
  const numbers = names.flatMap((name) => segmentNumber(name) ?? []).sort((a, b) => a - b)
  const highest = numbers.at(-1)
  if (highest === undefined) throw logDamage(directory, 0, "it has no segment")
  let lowest = highest
  while (numbers.includes(lowest - 1)) lowest--
  for (const name of names) {
    const number = segmentNumber(name)
    if (name.endsWith(".tmp") || (number !== undefined && number < lowest)) {
      await fileSystem.remove(join(directory, name))
    }
  }
  return numbers.filter((number) => number >= lowest)
}

/**
 * Fills `segment` in. Resolves the sector behind a torn group, or 0.
 * @param expected position of its first entry, when that is known
 */
async function scanSegment(
  log: OpenedLog,
  segment: ScannedSegment,
  expected: number | undefined,
): Promise<number> {
  const name = { id: log.id, number: segment.number }
  const path = segmentPath(log.directory, segment.number)
  const bytes = await readSegment(log.fileSystem, log.directory, name)
  if (bytes.length % SECTOR_BYTES !== 0) throw logDamage(path, bytes.length, "it ends inside a sector")
  segment.bytes = bytes.length
  const scan = new SegmentScan(bytes, segmentSeed(name), path)
  let next = expected
  let sliceEnd = SLICE_BYTES
  for (let group = scan.next(); group !== undefined; group = scan.next()) {
    if (next !== undefined && group.first !== next) {
      const offset = segment.nextSector * SECTOR_BYTES
      throw logDamage(path, offset, `entry ${next} should come here, not ${group.first}`)
    }
    if (next === undefined || segment.nextSector === 1) segment.first = group.first
    next = group.first + group.entries.length
    segment.end = next
    segment.lastGroup = segment.nextSector
    segment.nextSector = scan.sector
    if (scan.sector * SECTOR_BYTES < sliceEnd) continue
    sliceEnd = scan.sector * SECTOR_BYTES + SLICE_BYTES
    await log.clock.nextTurn()
  }
  return scan.tornEnd
}

/** Where the entries end. */
function checkRange(
  log: OpenedLog,
  segments: readonly ScannedSegment[],
  end: number | undefined,
  from: number,
  expectedEnd: number | undefined,
): number {
  const first = segments.find((segment) => segment.end > segment.first)
  const lowest = segments[0]!
  const path = segmentPath(log.directory, lowest.number)
  if (first === undefined && lowest.number > 1) {
    throw logDamage(path, SECTOR_BYTES, "it holds no entry, and should")
  }
  const begin = first?.first ?? 0
  if (begin > from) throw logDamage(path, SECTOR_BYTES, `entry ${from} is missing; it begins with ${begin}`)
  const found = end ?? 0
  if (found < from || (expectedEnd !== undefined && found !== expectedEnd)) {
    const last = segments.findLast((segment) => segment.end > segment.first) ?? lowest
    throw logDamage(
      segmentPath(log.directory, last.number),
      last.nextSector * SECTOR_BYTES,
      `entries end at ${found} instead of ${expectedEnd ?? `${from} or later`}`,
    )
  }
  return found
}

/**
 * Makes the last group durable. It was never synced when a kill, or a sync that failed, ended the process: then it is
 * here because the system still has it in memory, and as far as the system knows it may be on disk. Written once more,
 * with the same bytes, and synced. The groups before it were synced before it was written. What lies behind it is zeros
 * as the system reads them, and what the disk has there may be sectors of a group that failed: they go with the same sync.
 */
async function confirm(log: OpenedLog, segment: ScannedSegment): Promise<void> {
  const path = segmentPath(log.directory, segment.number)
  const file = await openSegment(log.fileSystem, path, "edit")
  try {
    const begin = segment.lastGroup * SECTOR_BYTES
    const group = Buffer.allocUnsafe(segment.nextSector * SECTOR_BYTES - begin)
    const count = await file.read(group, begin)
    if (count !== group.length) throw logDamage(path, begin + count, "it ends too early")
    if (count > 0) await file.write(group, begin)
    await file.sync()
  } finally {
    await file.close()
  }
}
