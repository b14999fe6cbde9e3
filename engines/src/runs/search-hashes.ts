// Finding hashes in the hash sections of runs, without an index: all of the section is read and every entry looked at.
// A million records are 12 MB, read once in order: a small part of what it takes to build their index.
//
//   section   |h1 h2 offset|h1 h2 offset|h1 h2 …        in record order: 12 bytes an entry, nothing to jump by
//   wanted    a bit for each value of 16 bits of h1, then the hash itself
//
// Blocks are checked as they are read. The next pieces, of whichever run, are read while one is looked at.

import type { OpenRun } from "./open-run.ts"
import { blockCount, HASH_ENTRY_BYTES, RUN_BLOCK_BYTES } from "./run-format.ts"

/** Entries that are read at a time: looking at them does not hold the thread for long. */
const PIECE_ENTRIES = 65_536
const PIECE_BYTES = PIECE_ENTRIES * HASH_ENTRY_BYTES
/** A short run, as of a dump, takes longer to be asked for than to be read. */
const READS_AHEAD = 3
/** Before the first entry may lie the rest of a block, and behind the last one. */
const BUFFER_BYTES = PIECE_BYTES + 2 * RUN_BLOCK_BYTES
const FILTER_SPAN = 2 ** 16
const FILTER_MASK = FILTER_SPAN - 1
const TOMBSTONE_BIT = 0x8000
const U16_SPAN = 2 ** 16
const U32_SPAN = 2 ** 32

/** A record with a wanted hash. */
export interface FoundHash {
  readonly h1: number
  readonly h2: number
  readonly run: OpenRun
  /** Where it starts in the run. */
  readonly offset: number
  readonly isTombstone: boolean
}

/** Both halves of a hash as one number. */
export function hashNumber(h1: number, h2: number): number {
  return h1 * U16_SPAN + h2
}

/**
 * The records of `runs`, which the caller holds, that have one of the `wanted` hashes, given as `hashNumber`s: in the
 * order of the runs, and within a run last ones first. All of the sections is read and its blocks are checked, also
 * when none is wanted.
 * @param onRun called behind each run; true ends the search
 * @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED`, `REPOSITORY_FAILED`
 */
export async function searchHashes(
  runs: readonly OpenRun[],
  wanted: ReadonlySet<number>,
  onRun: (found: readonly FoundHash[]) => boolean = () => false,
): Promise<FoundHash[]> {
  const filter = new Uint8Array(FILTER_SPAN)
  for (const hash of wanted) filter[Math.floor(hash / U16_SPAN) & FILTER_MASK] = 1
  const all: FoundHash[] = []
  let found: FoundHash[] = []
  for await (const { run, entries, isLast } of hashEntries(runs)) {
    searchEntries(entries, run, { filter, wanted }, found)
    if (!isLast) continue
    found.reverse()
    all.push(...found)
    if (onRun(found)) break
    found = []
  }
  return all
}

function searchEntries(
  entries: DataView,
  run: OpenRun,
  { filter, wanted }: { readonly filter: Uint8Array; readonly wanted: ReadonlySet<number> },
  found: FoundHash[],
): void {
  if (wanted.size === 0) return
  for (let at = 0; at < entries.byteLength; at += HASH_ENTRY_BYTES) {
    const h1 = entries.getUint32(at, true)
    if (filter[h1 & FILTER_MASK] === 0) continue
    const h2 = entries.getUint16(at + 4, true)
    if (!wanted.has(hashNumber(h1, h2))) continue
    const high = entries.getUint16(at + 10, true)
    const offset = entries.getUint32(at + 6, true) + (high & ~TOMBSTONE_BIT) * U32_SPAN
    found.push({ h1, h2, run, offset, isTombstone: high >= TOMBSTONE_BIT })
  }
}

/** Entries of a run that are read together. */
interface Piece {
  readonly run: OpenRun
  readonly entries: DataView
  /** No other of this run follows. */
  readonly isLast: boolean
}

/** The checked bytes of the hash sections, whole entries in pieces. A piece is valid until the next one is asked for. */
async function* hashEntries(runs: readonly OpenRun[]): AsyncGenerator<Piece, void, undefined> {
  const plan = piecesOf(runs)
  const buffers: Uint8Array[] = []
  const reads: Promise<Piece>[] = []
  const readNext = (buffer: Uint8Array | undefined): void => {
    const next = plan.next()
    if (next.done === true) return
    const { run, at, bytes, isLast } = next.value
    const needed = Math.min(BUFFER_BYTES, bytes + 2 * RUN_BLOCK_BYTES)
    const target = buffer !== undefined && buffer.length >= needed ? buffer : new Uint8Array(needed)
    const first = Math.floor(at / RUN_BLOCK_BYTES)
    const read = run.readBlocks(first, blockCount(at + bytes) - first, target).then(() => ({
      run,
      entries: new DataView(target.buffer, at - first * RUN_BLOCK_BYTES, bytes),
      isLast,
    }))
    // Of a search that ends early nobody asks for it.
    read.catch(() => undefined)
    buffers.push(target)
    reads.push(read)
  }
  for (let i = 0; i <= READS_AHEAD; i++) readNext(undefined)
  try {
    for (let read = reads.shift(); read !== undefined; read = reads.shift()) {
      yield await read
      readNext(buffers.shift())
    }
  } finally {
    await Promise.allSettled(reads)
  }
}

interface PlannedPiece {
  readonly run: OpenRun
  /** Byte of the run at which the first entry starts. */
  readonly at: number
  readonly bytes: number
  readonly isLast: boolean
}

/** Runs without entries have none. */
function* piecesOf(runs: readonly OpenRun[]): Generator<PlannedPiece> {
  for (const run of runs) {
    const { recordsBytes: start, recordCount } = run.figures
    const end = start + recordCount * HASH_ENTRY_BYTES
    for (let at = start; at < end; at += PIECE_BYTES) {
      yield { run, at, bytes: Math.min(PIECE_BYTES, end - at), isLast: at + PIECE_BYTES >= end }
    }
  }
}
