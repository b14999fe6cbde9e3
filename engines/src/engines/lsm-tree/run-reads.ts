// Reading keys from runs, newest run first: filter, fences, one block, search in it. Without a promise as long as the
// blocks are in the cache.

import { copyBytes, equalBytes } from "../../base/bytes.ts"
import { decodeRecord, RecordCursor } from "../../base/record.ts"
import { ValueSlab } from "../../base/value-slab.ts"
import type { OpenRun } from "../../runs/open-run.ts"
import { RUN_BLOCK_BYTES, runDamage } from "../../runs/run-format.ts"

type Value = Uint8Array | undefined

export class RunReads {
  /** Blocks that were asked of the disk. */
  diskReadCount = 0
  readonly #cursor = new RecordCursor()
  #values: ValueSlab | undefined
  /** Where `#locate` found the data block. */
  #isInOneBlock = false
  #start = 0
  #end = 0

  /** The value of the key in the newest of `runs`, which are newest first, that has it; undefined for a tombstone. */
  get(runs: readonly OpenRun[], h1: number, h2: number, key: Uint8Array): Value | Promise<Value> {
    for (let i = this.#locate(runs, 0, h1, h2, key); i < runs.length; ) {
      const run = runs[i]!
      if (this.#isInOneBlock) {
        if (this.#start < 0) return this.#getLater(runs.slice(i), h1, h2, Buffer.from(key))
        const { cachedBytes } = run
        if (this.#find(cachedBytes, this.#start, this.#end, key, run)) return this.#cachedValue(cachedBytes)
      } else {
        const bytes = run.cachedRecord(this.#start, this.#cursor)
        if (bytes === undefined) return this.#getLater(runs.slice(i), h1, h2, Buffer.from(key))
        if (hasKey(bytes, this.#cursor, key)) return copyValue(bytes, this.#cursor)
      }
      i = this.#locate(runs, i + 1, h1, h2, key)
    }
    return undefined
  }

  /**
   * The index of the first run from `from` on that may hold the key; `runs.length` when none may. Its data block is in
   * one block, and lies at `#start` of the cache's bytes, -1 when it is not there; or it is one record that lies in
   * several blocks, at `#start` of the run.
   */
  #locate(runs: readonly OpenRun[], from: number, h1: number, h2: number, key: Uint8Array): number {
    for (let i = from; i < runs.length; i++) {
      const run = runs[i]!
      const { filter, fences } = run.sortedIndex!
      if (!filter.mayHold(h1, h2)) continue
      const dataBlock = fences.find(key, 0, key.length)
      const start = fences.start(dataBlock)
      const end = fences.end(dataBlock)
      const block = Math.floor(start / RUN_BLOCK_BYTES)
      const blockStart = block * RUN_BLOCK_BYTES
      this.#isInOneBlock = end <= blockStart + RUN_BLOCK_BYTES
      if (this.#isInOneBlock) {
        const cached = run.cachedBlock(block)
        this.#start = cached < 0 ? -1 : cached + start - blockStart
        this.#end = cached + end - blockStart
      } else {
        this.#start = start
      }
      return i
    }
    return runs.length
  }

  /** As `get`, for runs that are held from now on; the first of them may have the key. `key` is not changed. */
  async #getLater(runs: readonly OpenRun[], h1: number, h2: number, key: Uint8Array): Promise<Value> {
    for (const run of runs) run.retain()
    try {
      for (const run of runs) {
        const { filter, fences } = run.sortedIndex!
        if (!filter.mayHold(h1, h2)) continue
        const dataBlock = fences.find(key, 0, key.length)
        const bytes = await this.#read(run, fences.start(dataBlock), fences.end(dataBlock))
        if (!this.#find(bytes, 0, bytes.length, key, run)) continue
        return copyValue(bytes, this.#cursor)
      }
      return undefined
    } finally {
      for (const run of runs) run.release()
    }
  }

  /** Bytes of a data block. One that goes over the border of a block holds one record. */
  async #read(run: OpenRun, start: number, end: number): Promise<Buffer> {
    this.diskReadCount++
    const block = Math.floor(start / RUN_BLOCK_BYTES)
    const blockStart = block * RUN_BLOCK_BYTES
    if (end <= blockStart + RUN_BLOCK_BYTES) {
      const bytes = await run.block(block)
      return asBuffer(bytes).subarray(start - blockStart, end - blockStart)
    }
    const { bytes, cursor } = await run.read(start)
    return asBuffer(bytes).subarray(cursor.start, cursor.end)
  }

  /** The value under the cursor. All runs of an engine have one cache: its bytes stay the same ones. */
  #cachedValue(cachedBytes: Buffer): Value {
    const { valueStart, end } = this.#cursor
    if (valueStart === end) return undefined
    if (this.#values === undefined || this.#values.source !== cachedBytes) {
      this.#values = new ValueSlab(cachedBytes)
    }
    return this.#values.copy(valueStart, end)
  }

  /**
   * Leaves the record of the key under the cursor, when it is among those of `bytes[start, end)`. Neighbours differ in
   * their last bytes, so these are compared before the rest, and records are walked over by their lengths alone.
   */
  #find(bytes: Buffer, start: number, end: number, key: Uint8Array, run: OpenRun): boolean {
    const cursor = this.#cursor
    const keyBytes = key.length
    const lastByte = key[keyBytes - 1]
    for (let at = start; at < end; ) {
      const recordKeyBytes = bytes[at]!
      if (recordKeyBytes === 0) return false
      const valueBytes = bytes[at + 1]!
      if (recordKeyBytes < 0x80 && valueBytes < 0x80 && bytes[at + 2] === 0) {
        const keyEnd = at + 3 + recordKeyBytes
        if (recordKeyBytes !== keyBytes || bytes[keyEnd - 1] !== lastByte) {
          at = keyEnd + valueBytes
          continue
        }
      }
      // It was checked: what is no record was written wrongly.
      if (!decodeRecord(bytes, at, end, cursor))
        throw runDamage(run.path, "a data block holds what is no record")
      if (hasKey(bytes, cursor, key)) return true
      at = cursor.end
    }
    return false
  }
}

function hasKey(bytes: Buffer, cursor: RecordCursor, key: Uint8Array): boolean {
  const { keyStart, keyEnd } = cursor
  return keyEnd - keyStart === key.length && equalBytes(bytes, keyStart, key, 0, key.length)
}

function copyValue(bytes: Buffer, { valueStart, end }: RecordCursor): Value {
  return valueStart === end ? undefined : copyBytes(bytes, valueStart, end)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
