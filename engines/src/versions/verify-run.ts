// Proves a run: every byte of it is read once, under its chunk's hash and its block's checksum, and what it says of its
// records is compared with them.
//
//   every record         whole; its key hashed
//   hashed run           each entry of the hash section is the offset, the hash and the mark of a record
//   sorted run           keys ascend, each once; the filter holds each; the fences lead to its data block
//   figures              how many records and tombstones there are

import { assert } from "../base/assert.ts"
import { compareRanges } from "../base/bytes.ts"
import { KeyHasher } from "../base/key-hash.ts"
import type { HashPage } from "../runs/hash-page.ts"
import { RecordStream } from "../runs/record-stream.ts"
import type { RunFile } from "../runs/run-file.ts"
import { runDamage } from "../runs/run-format.ts"

/** Blocks read at a time: 1 MiB. */
const WINDOW_BLOCKS = 256

/** @throws (rejects) EngineError `DATA_LOSS`, naming the run or the object; `REPOSITORY_FAILED` */
export async function verifyRun(run: RunFile): Promise<void> {
  if ("hashes" in run.layout.index) await verifyHashed(run)
  else await verifySorted(run)
}

async function verifyHashed(run: RunFile): Promise<void> {
  const stream = new RecordStream(run, WINDOW_BLOCKS)
  const hasher = new KeyHasher(run.hashSeed)
  const hashes = run.hashes()
  let page: HashPage | undefined
  let at = 0
  const nextEntry = async (): Promise<boolean> => {
    if (page !== undefined && ++at < page.count) return true
    const next = await hashes.next()
    at = 0
    page = next.done === true ? undefined : next.value
    return page !== undefined
  }
  let hasEntry = await nextEntry()
  for (;;) {
    const advanced = stream.advance()
    if (!(typeof advanced === "boolean" ? advanced : await advanced)) break
    // Records that are not listed are dead.
    if (!hasEntry || page === undefined || page.offset[at] !== stream.recordOffset) continue
    const { bytes, cursor } = stream
    hasher.hash(bytes, cursor.keyStart, cursor.keyEnd)
    if (page.h1[at] !== hasher.h1 || page.h2[at] !== hasher.h2) {
      throw runDamage(run.path, `hash entry ${page.first + at} is not that of its record`)
    }
    if ((page.tombstone[at] === 1) !== cursor.isTombstone) {
      throw runDamage(run.path, `bad tombstone mark in hash entry ${page.first + at}`)
    }
    hasEntry = await nextEntry()
  }
  if (hasEntry) throw runDamage(run.path, "the hashes list a record that is not there")
}

async function verifySorted(run: RunFile): Promise<void> {
  await run.readIndex()
  const { sortedIndex, figures } = run
  assert(sortedIndex !== undefined, "the index of a sorted run was read")
  const { filter, fences } = sortedIndex
  const stream = new RecordStream(run, WINDOW_BLOCKS)
  const hasher = new KeyHasher(run.hashSeed)
  let keyBefore = Buffer.alloc(0)
  let [recordCount, tombstoneCount] = [0, 0]
  for (;;) {
    const advanced = stream.advance()
    if (!(typeof advanced === "boolean" ? advanced : await advanced)) break
    const { bytes, cursor, recordOffset } = stream
    const { keyStart, keyEnd } = cursor
    if (compareRanges(keyBefore, 0, keyBefore.length, bytes, keyStart, keyEnd) >= 0) {
      throw runDamage(run.path, `the key at byte ${recordOffset} is not above the one before it`)
    }
    hasher.hash(bytes, keyStart, keyEnd)
    const block = fences.find(bytes, keyStart, keyEnd)
    const isFound = recordOffset >= fences.start(block) && recordOffset < fences.end(block)
    if (!isFound || !filter.mayHold(hasher.h1, hasher.h2)) {
      throw runDamage(run.path, `its index does not find the record at byte ${recordOffset}`)
    }
    recordCount++
    if (cursor.isTombstone) tombstoneCount++
    keyBefore = Buffer.from(bytes.subarray(keyStart, keyEnd))
  }
  if (recordCount !== figures.recordCount) throw runDamage(run.path, "bad record count")
  if (tombstoneCount !== figures.tombstoneCount) throw runDamage(run.path, "bad tombstone count")
}
