// A log: entries of bytes, appended at the end, read back in order, forgotten from the beginning. It knows nothing of
// what the entries mean. A position is the count of entries before one.
//
//   append ── forming group ──┐               one synced write for all entries that came meanwhile
//                             ├── write ── resolved
//   append ── next group ─────┘ one at a time
//
//   segments   [ full ][ full ][ current ····][ prepared      ]      bytes: log-format.ts; files: segment-file.ts
//
// Invariants: groups are written one after the other, each when the one before is durable, so that only the last can be
// torn; what is durable is never written again. After a failed write nothing more is acknowledged.
//
// Per entry: one copy of its bytes. Per group: a checksum a sector, one synced write: one hop to another thread and back,
// where a write and a sync are two.

import { boundIndex, noCounts, shortBoundsMs } from "../base/duration-counts.ts"
import { EngineError, isEngineError } from "../base/error.ts"
import { EntryGroup } from "./entry-group.ts"
import {
  ENTRY_HEADER_BYTES,
  LOG_ENTRY_BYTES_MAX,
  LOG_GROUP_BYTES_MAX,
  LOG_PENDING_BYTES_MAX,
  SECTOR_BYTES,
  SEGMENT_BYTES_DEFAULT,
  SEGMENT_BYTES_MAX,
  SEGMENT_BYTES_MIN,
  sectorsOf,
  segmentSeed,
} from "./log-format.ts"
import { mendSegment, reopenSegment } from "./mend-segment.ts"
import { editScanned, type OpenedLog, openSegments, type ScannedSegment } from "./open-segments.ts"
import { FULL_RETRY_MS, PreparedSegments } from "./prepared-segments.ts"
import { createSegment, readSegment, segmentPath, type WritableSegment } from "./segment-file.ts"
import { SegmentScan } from "./segment-scan.ts"

const EMPTY = new Uint8Array(0)

/** A buffer up to this size is kept for the next group. */
const SPARE_BUFFER_BYTES_MAX = 2 * LOG_GROUP_BYTES_MAX

export interface LogOptions extends OpenedLog {
  /** Length of a segment in bytes; 16 MiB by default. */
  readonly segmentBytes?: number
  /** Hears, once, why the log takes no more entries. */
  readonly onFailure: (error: unknown) => void
  /** Hears of segments that could not be removed; that costs space only. */
  readonly onWarning: (error: unknown) => void
}

export interface LogEntry {
  readonly position: number
  readonly bytes: Uint8Array
}

/** One that is not written any more. */
type FullSegment = Omit<ScannedSegment, "lastGroup">

/** Counts since the log was opened. */
export interface LogFigures {
  /** Entries appended, and their bytes. */
  readonly entryCount: number
  /** Bytes of the entries appended. */
  readonly bytesAppended: number
  /** Synced writes, each of a group of entries, and how long they took in all. */
  readonly syncCount: number
  /** How long the synced writes took in all, in milliseconds. */
  readonly syncMs: number
  /** The same by how long each took: counts by `shortBoundsMs`. */
  readonly syncCounts: readonly number[]
  /** Of now: files that hold entries or are about to, and their bytes. */
  readonly segmentCount: number
  /** Bytes of those files. */
  readonly bytesHeld: number
  /** No room is found for further entries. */
  readonly isFull: boolean
}

export class Log {
  readonly #log: OpenedLog
  readonly #options: LogOptions
  /** Aborted when what was pending is written: nothing waits any more. */
  readonly #closing = new AbortController()
  #isClosing = false
  /** Whether a full disk is not waited for. */
  #givesUpWhenFull = false
  readonly #prepared: PreparedSegments
  /** Oldest first; none of them is written any more. */
  #full: FullSegment[]
  #current: WritableSegment
  /** Positions of the synced entries of the current segment. */
  #currentFirst: number
  #syncedEnd: number
  /** The first one is being written. */
  readonly #groups: EntryGroup[] = []
  #spare: Buffer | undefined
  #end: number
  #pendingBytes = 0
  #pendingSectors = 0
  #work: Promise<void> = Promise.resolve()
  /** Whether the last group had more than one entry. */
  #comeTogether = true
  /** Ends in the same turn as the loop: who is released by a sync may append at once. */
  #isWriting = false
  #removing: Promise<void> = Promise.resolve()
  #failure: EngineError | undefined
  readonly #figures = {
    entryCount: 0,
    bytesAppended: 0,
    syncCount: 0,
    syncMs: 0,
    syncCounts: noCounts(shortBoundsMs),
  }

  private constructor(
    options: LogOptions,
    opened: {
      readonly full: FullSegment[]
      readonly current: WritableSegment
      readonly currentFirst: number
      readonly end: number
    },
  ) {
    this.#log = options
    this.#options = options
    this.#full = opened.full
    this.#current = opened.current
    this.#currentFirst = opened.currentFirst
    this.#end = opened.end
    this.#syncedEnd = opened.end
    this.#prepared = new PreparedSegments(
      options,
      {
        number: opened.current.number + 1,
        segmentBytes: segmentBytesOf(options),
        signal: this.#closing.signal,
      },
      (error) => this.#fail(error),
    )
    this.#prepared.prepare()
  }

  /** A new log in `directory`, which is made; durable when it resolves. @throws (rejects) `STORAGE_FULL` and others */
  static async create(options: LogOptions): Promise<Log> {
    const { fileSystem, directory, id } = options
    await fileSystem.makeDirectory(directory)
    const count = Math.floor(Math.min(segmentBytesOf(options), 256 * 1024) / SECTOR_BYTES)
    const current = await createSegment(fileSystem, directory, { id, number: 1 }, count)
    return new Log(options, { full: [], current, currentFirst: 0, end: 0 })
  }

  /**
   * Opens the log in `directory`. Every byte is checked; a group that a crash has torn is cut off.
   * @param from first position that is needed
   * @param expectedEnd `end` of the log when it was closed; leave it out when it was not closed
   * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `STORAGE_FAILED`
   */
  static async open(options: LogOptions, from: number, expectedEnd?: number): Promise<Log> {
    const { segments, currentIndex, end } = await openSegments(options, from, expectedEnd)
    const current = segments[currentIndex]!
    return new Log(options, {
      full: segments.slice(0, currentIndex),
      current: await editScanned(options, current),
      currentFirst: current.first,
      end,
    })
  }

  /** Position that the next entry gets. */
  get end(): number {
    return this.#end
  }

  /** Bytes of the entries since the log was opened. */
  get bytesAppended(): number {
    return this.#figures.bytesAppended
  }

  get figures(): LogFigures {
    const held = this.#full.reduce((bytes, segment) => bytes + segment.bytes, 0)
    return {
      ...this.#figures,
      segmentCount: this.#full.length + 1,
      bytesHeld: held + this.#current.sectorCount * SECTOR_BYTES,
      isFull: this.#prepared.full !== undefined,
    }
  }

  /**
   * Throws when an entry of `bytes` cannot be taken now.
   * @throws EngineError `BATCH_TOO_LARGE` ever; `WRITES_STALLED`, `STORAGE_FULL` now; `ENGINE_POISONED`, `ENGINE_CLOSED`
   */
  admit(bytes: number): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#isClosing) throw closed()
    if (bytes > LOG_ENTRY_BYTES_MAX) {
      throw new EngineError(
        "BATCH_TOO_LARGE",
        `the batch has ${bytes} bytes; the log takes at most ${LOG_ENTRY_BYTES_MAX} at once`,
      )
    }
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > LOG_PENDING_BYTES_MAX) {
      throw new EngineError(
        "WRITES_STALLED",
        `${this.#pendingBytes} bytes wait to be synced to the log; at most ${LOG_PENDING_BYTES_MAX} may`,
      )
    }
    const { full, readySectors } = this.#prepared
    if (full === undefined) return
    // Each pending group may end with a sector of its own that is not full.
    const needed = this.#pendingSectors + sectorsOf(bytes + ENTRY_HEADER_BYTES) + 1
    if (needed > Math.max(readySectors, this.#current.sectorCount - this.#current.nextSector)) throw full
  }

  /**
   * Takes a copy of an entry and gives it a position; `synced` says when it is durable. Errors as `admit`; nothing is
   * then taken.
   * @param head the first bytes of the entry, when they lie elsewhere
   */
  append(entry: Uint8Array, head: Uint8Array = EMPTY): number {
    const bytes = head.length + entry.length
    this.admit(bytes)
    let group = this.#groups.at(-1)
    if (group === undefined || group.isFrozen || group.bytes + bytes > LOG_GROUP_BYTES_MAX) {
      group = new EntryGroup(this.#end, this.#spare)
      this.#spare = undefined
      this.#groups.push(group)
    }
    const sectorsBefore = group.sectorCount
    group.append(entry, head)
    this.#pendingSectors += group.sectorCount - sectorsBefore
    this.#pendingBytes += bytes
    this.#figures.entryCount++
    this.#figures.bytesAppended += bytes
    if (!this.#isWriting) {
      this.#isWriting = true
      this.#work = this.#writeGroups()
    }
    return this.#end++
  }

  /**
   * Undefined when the entry at `position` and all before it survive power loss; else a promise of that, one for all
   * entries of a group. It rejects when the log has failed.
   */
  synced(position: number): Promise<void> | undefined {
    if (position < this.#syncedEnd) return undefined
    const group = this.#groups.find(({ end }) => position < end)
    return group?.synced ?? (this.#failure === undefined ? undefined : Promise.reject(this.#failure))
  }

  /** Entries from `from` on that are synced when this is called, in order. Not to be mixed with `trim`. */
  async *read(from: number): AsyncGenerator<LogEntry, void, undefined> {
    const end = this.#syncedEnd
    const { number, nextSector } = this.#current
    const parts = [...this.#full, { number, nextSector, first: this.#currentFirst, end }]
    for (const part of parts) {
      if (part.end <= from || part.end === part.first) continue
      const name = { id: this.#log.id, number: part.number }
      const bytes = await readSegment(this.#log.fileSystem, this.#log.directory, name, part.nextSector)
      const path = segmentPath(this.#log.directory, part.number)
      const scan = new SegmentScan(bytes, this.#seedOf(part.number), path)
      for (let group = scan.next(); group !== undefined; group = scan.next()) {
        for (const [i, entry] of group.entries.entries()) {
          const position = group.first + i
          if (position >= from) yield { position, bytes: entry }
        }
      }
    }
  }

  /** Removes segments of which all entries lie before `before`; one that holds entries always stays. */
  trim(before: number): void {
    const hasEntries = this.#syncedEnd > this.#currentFirst
    const kept = hasEntries ? this.#full.length : this.#full.findLastIndex(({ first, end }) => end > first)
    let count = 0
    while (count < kept && this.#full[count]!.end <= before) count++
    const removed = this.#full.slice(0, count)
    this.#full = this.#full.slice(count)
    for (const { number } of removed) {
      this.#removing = this.#removing
        .then(() => this.#log.fileSystem.remove(segmentPath(this.#log.directory, number)))
        .catch((error: unknown) => this.#options.onWarning(error))
    }
  }

  /** From now on entries that find no space are refused, and the log fails with them: who closes cannot wait. */
  giveUpWhenFull(): void {
    this.#givesUpWhenFull = true
    this.#prepared.giveUpWhenFull()
  }

  /** Writes what is pending, unless the disk is full, and lets go of the files. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.giveUpWhenFull()
    while (this.#isWriting) await this.#work
    this.#closing.abort()
    await this.#removing
    await this.#prepared.close()
    await this.#current.file.close()
  }

  async #writeGroups(): Promise<void> {
    try {
      // Behind the caller, who may append more. In a later turn when entries have come together before: then what else
      // comes in this one joins them. Who appends alone would wait for nothing.
      await (this.#comeTogether ? this.#log.clock.nextTurn() : undefined)
      for (let group = this.#groups[0]; group !== undefined; group = this.#groups[0]) {
        await this.#writeGroup(group)
        if (this.#failure !== undefined) break
        this.#groups.shift()
        this.#comeTogether = group.entryCount > 1
        this.#pendingBytes -= group.bytes - group.entryCount * ENTRY_HEADER_BYTES
        this.#pendingSectors -= group.sectorCount
        if (group.buffer.length <= SPARE_BUFFER_BYTES_MAX) this.#spare = group.buffer
        group.resolve()
      }
    } catch (error) {
      this.#fail(error)
    }
    this.#isWriting = false
  }

  async #writeGroup(group: EntryGroup): Promise<void> {
    // A group may not outgrow the room that is found for it.
    group.freeze()
    for (;;) {
      const segment = await this.#segmentFor(group)
      const bytes = group.seal(segment.nextSector, segment.seed)
      const startedMs = this.#log.clock.monotonicMs()
      try {
        await segment.file.write(bytes, segment.nextSector * SECTOR_BYTES)
      } catch (error) {
        await mendSegment(this.#log.fileSystem, segment, bytes)
        // Its room was taken before; where a file system finds none for it all the same, nothing of it counts yet.
        if (!isEngineError(error, "STORAGE_FULL") || this.#givesUpWhenFull) throw error
        await this.#log.clock.sleep(FULL_RETRY_MS, this.#closing.signal)
        await reopenSegment(this.#log.fileSystem, segment)
        continue
      }
      const syncMs = this.#log.clock.monotonicMs() - startedMs
      this.#figures.syncMs += syncMs
      this.#figures.syncCounts[boundIndex(shortBoundsMs, syncMs)]! += 1
      this.#figures.syncCount++
      segment.nextSector += group.sectorCount
      this.#syncedEnd = group.end
      return
    }
  }

  /** The segment that has room for the group. */
  async #segmentFor(group: EntryGroup): Promise<WritableSegment> {
    const current = this.#current
    if (current.nextSector + group.sectorCount <= current.sectorCount) return current
    const next = await this.#prepared.take(group.sectorCount)
    if (next === undefined) throw this.#failure ?? this.#prepared.full ?? closed()
    await current.file.close()
    const { number, sectorCount, nextSector } = current
    const first = this.#currentFirst
    const bytes = sectorCount * SECTOR_BYTES
    this.#full = [...this.#full, { number, bytes, first, end: this.#syncedEnd, nextSector }]
    this.#current = next
    this.#currentFirst = this.#syncedEnd
    this.#prepared.prepare()
    return next
  }

  #seedOf(number: number): number {
    return segmentSeed({ id: this.#log.id, number })
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    const why = error instanceof Error ? error.message : String(error)
    this.#failure = new EngineError("ENGINE_POISONED", `the log takes no more entries: ${why}`, {
      cause: error,
    })
    for (const group of this.#groups.splice(0)) group.reject(this.#failure)
    this.#options.onFailure(error)
  }
}

function segmentBytesOf({ segmentBytes = SEGMENT_BYTES_DEFAULT }: LogOptions): number {
  if (
    Number.isInteger(segmentBytes) &&
    segmentBytes >= SEGMENT_BYTES_MIN &&
    segmentBytes <= SEGMENT_BYTES_MAX
  ) {
    return segmentBytes
  }
  throw new EngineError(
    "SETTING_INVALID",
    `segmentBytes is ${segmentBytes}; it is ${SEGMENT_BYTES_MIN} to ${SEGMENT_BYTES_MAX} bytes`,
  )
}

function closed(): EngineError {
  return new EngineError("ENGINE_CLOSED", "the log is closed")
}
