// Records in the order of their keys, merged over memtables and runs, page by page.
//
//   sources   the memtables of the start, each as sorted offsets ── runs ── lowest key of all of them next
//   value     asked of the memtables of the moment first, newest first; else from the newest run that has the key
//
// A memtable that was flushed meanwhile is in no memtable any more and may be in none of the runs that the scan holds:
// then the scan takes the runs of the moment and seeks the key that is next (`dropCount` tells). So a value is that
// of the moment its page was read, and the scan holds runs, not the memory of writes that came after it.

import { compareRanges, copyBytes } from "../../base/bytes.ts"
import { selects } from "../../base/key-selection.ts"
import { decodeRecord, RecordCursor } from "../../base/record.ts"
import type { KeyValue, ScanOptions } from "../../engine.ts"
import type { Clock } from "../../io/clock.ts"
import { RecordStream } from "../../runs/record-stream.ts"
import type { OpenRun, RunSet } from "../../runs/run-set.ts"
import type { Memtable } from "./memtable.ts"
import type { Memtables } from "./memtables.ts"
import { sortedOffsets } from "./sorted-offsets.ts"

const EMPTY = new Uint8Array(0)
/** A page ends when it has this many records or bytes. */
const PAGE_RECORDS = 256
const PAGE_BYTES = 256 * 1024
const KEY_BYTES_START = 64
/** Blocks of a run read at a time: 64 KiB. */
const WINDOW_BLOCKS = 16

/** Where a scan reads. */
export interface ScanSource {
  readonly memtables: Memtables
  readonly runs: RunSet
  readonly clock: Clock
  /** The memtable with the newest record of the key, which is under its cursor; undefined when none has it. */
  findInMemory(key: Uint8Array, start: number, end: number): Memtable | undefined
}

/** One of the sorted sequences that are merged. Its record is valid until the next `advance`. */
interface Sequence {
  readonly bytes: Buffer
  readonly cursor: RecordCursor
  advance(): boolean | Promise<boolean>
}

export async function* scanOrdered(source: ScanSource, options: ScanOptions): AsyncGenerator<KeyValue[]> {
  // One that is flushed meanwhile is read until the next record is chosen.
  const memtables = source.memtables.newestFirst
  for (const memtable of memtables) memtable.hold()
  try {
    const sorted = new Map<Memtable, Uint32Array>()
    for (const memtable of memtables) {
      sorted.set(memtable, await sortedOffsets(memtable, options, source.clock))
    }
    yield* mergeSequences(source, sorted, options)
  } finally {
    for (const memtable of memtables) memtable.release()
  }
}

async function* mergeSequences(
  source: ScanSource,
  sorted: ReadonlyMap<Memtable, Uint32Array>,
  options: ScanOptions,
): AsyncGenerator<KeyValue[]> {
  let page: KeyValue[] = []
  let pageBytes = 0
  let view = await View.open(source, sorted, lowestKey(options))
  try {
    for (;;) {
      if (view.dropCount !== source.memtables.dropCount) {
        const next = view.first
        if (next === undefined) break
        const key = copyBytes(next.bytes, next.cursor.keyStart, next.cursor.keyEnd)
        view.close()
        view = await View.open(source, sorted, key)
        continue
      }
      const first = view.first
      if (first === undefined) break
      const { bytes, cursor } = first
      const key = bytes.subarray(cursor.keyStart, cursor.keyEnd)
      if (isBehind(key, options)) break
      const memtable = source.findInMemory(bytes, cursor.keyStart, cursor.keyEnd)
      // What comes from a memtable is found in memory; see `dropCount`.
      const found = memtable ?? first
      if (!found.cursor.isTombstone && selects(options, key)) {
        const value =
          options.keysOnly === true
            ? EMPTY
            : copyBytes(found.bytes, found.cursor.valueStart, found.cursor.end)
        page.push({ key: copyBytes(bytes, cursor.keyStart, cursor.keyEnd), value })
        pageBytes += key.length + value.length
      }
      const moved = view.advance()
      if (moved !== undefined) await moved
      if (page.length < PAGE_RECORDS && pageBytes < PAGE_BYTES) continue
      yield page
      page = []
      pageBytes = 0
      await source.clock.nextTurn()
    }
  } finally {
    view.close()
  }
  if (page.length > 0) yield page
}

/** The sequences from one key on; holds the runs. */
class View {
  readonly dropCount: number
  readonly #runs: readonly OpenRun[]
  /** Newest first; those that have ended are taken out. */
  #sequences: Sequence[] = []
  #first: Sequence | undefined
  #isClosed = false

  /** @param from sequences start at the first key that is not below it */
  static async open(
    source: ScanSource,
    sorted: ReadonlyMap<Memtable, Uint32Array>,
    from: Uint8Array,
  ): Promise<View> {
    const view = new View(source)
    try {
      for (const memtable of source.memtables.newestFirst) {
        const offsets = sorted.get(memtable)
        if (offsets !== undefined) await view.#add(new MemtableSequence(memtable, offsets, from), from)
      }
      for (const run of view.#runs) {
        const { fences } = run.sortedIndex!
        if (fences.count === 0) continue
        const start = fences.start(fences.find(from, 0, from.length))
        await view.#add(new RecordStream(run, WINDOW_BLOCKS, start), from)
      }
      view.#choose()
      return view
    } catch (error) {
      view.close()
      throw error
    }
  }

  private constructor(source: ScanSource) {
    this.dropCount = source.memtables.dropCount
    this.#runs = source.runs.retainAll()
  }

  /** The newest of the sequences whose key is the lowest. */
  get first(): Sequence | undefined {
    return this.#first
  }

  /** Moves all sequences over the key of the first. */
  advance(): Promise<void> | undefined {
    const first = this.#first!
    for (const sequence of this.#sequences) {
      if (sequence === first || compareKeys(sequence, first) !== 0) continue
      return this.#advanceSlowly()
    }
    const moved = first.advance()
    if (typeof moved !== "boolean") return this.#finish(first, moved)
    if (!moved) this.#remove(first)
    this.#choose()
    return undefined
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const run of this.#runs) run.release()
  }

  /** Several sequences have the key: the first one, with which the others are compared, moves last. */
  async #advanceSlowly(): Promise<void> {
    const first = this.#first!
    for (const sequence of [...this.#sequences]) {
      while (sequence !== first && compareKeys(sequence, first) === 0) {
        if (await sequence.advance()) continue
        this.#remove(sequence)
        break
      }
    }
    await this.#finish(first, first.advance())
  }

  async #finish(first: Sequence, moved: boolean | Promise<boolean>): Promise<void> {
    if (!(await moved)) this.#remove(first)
    this.#choose()
  }

  async #add(sequence: Sequence, from: Uint8Array): Promise<void> {
    do {
      if (!(await sequence.advance())) return
    } while (
      compareRanges(sequence.bytes, sequence.cursor.keyStart, sequence.cursor.keyEnd, from, 0, from.length) <
      0
    )
    this.#sequences.push(sequence)
  }

  #remove(sequence: Sequence): void {
    this.#sequences = this.#sequences.filter((each) => each !== sequence)
  }

  #choose(): void {
    let first: Sequence | undefined
    for (const sequence of this.#sequences) {
      if (first === undefined || compareKeys(sequence, first) < 0) first = sequence
    }
    this.#first = first
  }
}

/** Keys of a memtable by sorted offsets, each once. Its record may change at any time: keys alone are kept here. */
class MemtableSequence implements Sequence {
  readonly cursor = new RecordCursor()
  /** The present key. */
  bytes: Buffer = Buffer.alloc(KEY_BYTES_START)
  readonly #memtable: Memtable
  readonly #offsets: Uint32Array
  #next: number

  constructor(memtable: Memtable, offsets: Uint32Array, from: Uint8Array) {
    this.#memtable = memtable
    this.#offsets = offsets
    this.#next = this.#firstNotBelow(from)
  }

  advance(): boolean {
    const { bytes } = this.#memtable
    const record = RECORD
    for (; this.#next < this.#offsets.length; this.#next++) {
      decodeRecord(bytes, this.#offsets[this.#next]!, bytes.length, record)
      const { keyStart, keyEnd } = record
      if (compareRanges(this.bytes, 0, this.cursor.keyEnd, bytes, keyStart, keyEnd) === 0) continue
      const keyBytes = keyEnd - keyStart
      if (keyBytes > this.bytes.length) this.bytes = Buffer.alloc(keyBytes)
      this.cursor.keyEnd = bytes.copy(this.bytes, 0, keyStart, keyEnd)
      return true
    }
    return false
  }

  #firstNotBelow(key: Uint8Array): number {
    const { bytes } = this.#memtable
    let low = 0
    let high = this.#offsets.length
    while (low < high) {
      const middle = (low + high) >>> 1
      decodeRecord(bytes, this.#offsets[middle]!, bytes.length, RECORD)
      if (compareRanges(bytes, RECORD.keyStart, RECORD.keyEnd, key, 0, key.length) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

const RECORD = new RecordCursor()

function compareKeys(a: Sequence, b: Sequence): number {
  return compareRanges(
    a.bytes,
    a.cursor.keyStart,
    a.cursor.keyEnd,
    b.bytes,
    b.cursor.keyStart,
    b.cursor.keyEnd,
  )
}

/** No selected key is below it. */
function lowestKey({ prefix = EMPTY, start = EMPTY }: ScanOptions): Uint8Array {
  const order = compareRanges(prefix, 0, prefix.length, start, 0, start.length)
  return order < 0 ? start : prefix
}

/** No key from this one on is selected. */
function isBehind(key: Uint8Array, { prefix, end }: ScanOptions): boolean {
  if (end !== undefined && compareRanges(key, 0, key.length, end, 0, end.length) >= 0) return true
  if (prefix === undefined) return false
  const length = Math.min(key.length, prefix.length)
  return compareRanges(key, 0, length, prefix, 0, prefix.length) > 0
}
