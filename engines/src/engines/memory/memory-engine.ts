// The naive baseline: everything in a hash map, and a snapshot dumps all of it.
//
//   set       the map on top
//   seal      another map on top of it: everything below is fixed
//   flush     all keys and values below the seal become runs, which replace those before
//
// It shows what the other engines save. It is also the right choice for small states: nothing is read faster.

import { selects } from "../../base/key-selection.ts"
import { decodeRecord, RecordCursor } from "../../base/record.ts"
import type { CoreHost, EngineCore, Seal } from "../../core.ts"
import type { KeyValue, ScanOptions } from "../../engine.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import { Dumper } from "./dumper.ts"
import { type ByteString, type Layer, Layers } from "./layers.ts"
import { sortKeys } from "./sorted-keys.ts"

export type MemorySettings = Record<string, never>

const EMPTY = new Uint8Array(0)
/** A page of a scan ends when it has this many records or bytes. */
const PAGE_RECORDS = 256
const PAGE_BYTES = 256 * 1024

export class MemoryEngine implements EngineCore {
  readonly #host: CoreHost<MemorySettings>
  readonly #layers = new Layers()
  readonly #dumper: Dumper
  readonly #sealed = new Map<number, { readonly layer: Layer; readonly changeCount: number }>()
  #sealCount = 0

  private constructor(host: CoreHost<MemorySettings>) {
    this.#host = host
    this.#dumper = new Dumper(host, this.#layers)
  }

  /** Reads the state that the runs of `host` hold. @throws (rejects) EngineError `DATA_LOSS` */
  static async open(host: CoreHost<MemorySettings>): Promise<MemoryEngine> {
    const engine = new MemoryEngine(host)
    await engine.#load()
    return engine
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const value = this.#layers.get(toByteString(key, 0, key.length))
    return value === undefined ? undefined : Buffer.from(value)
  }

  getMany(keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    return keys.map((key) => this.get(key))
  }

  set(key: Uint8Array, value: Uint8Array): undefined {
    this.#layers.set(toByteString(key, 0, key.length), Buffer.from(value))
  }

  write(batch: Uint8Array): undefined {
    const cursor = new RecordCursor()
    for (let at = 0; at < batch.length; at = cursor.end) {
      decodeRecord(batch, at, batch.length, cursor)
      const key = toByteString(batch, cursor.keyStart, cursor.keyEnd)
      this.#layers.set(key, Uint8Array.prototype.slice.call(batch, cursor.valueStart, cursor.end))
    }
  }

  admit(): void {
    // Whatever fits the process is taken: this engine has no memory budget and waits for no disk.
  }

  async *scan(options: ScanOptions): AsyncGenerator<KeyValue[]> {
    const keys = this.#layers.keys()
    const selected = (function* (): Generator<ByteString> {
      for (const key of keys) if (selects(options, Buffer.from(key, "latin1"))) yield key
    })()
    let page: KeyValue[] = []
    let pageBytes = 0
    let before: ByteString | undefined
    for (const key of await sortKeys(selected, this.#host.clock)) {
      if (key === before) continue
      before = key
      const value = this.#layers.get(key)
      if (value === undefined) continue
      page.push({
        key: Buffer.from(key, "latin1"),
        value: options.keysOnly === true ? EMPTY : Buffer.from(value),
      })
      pageBytes += key.length + value.length
      if (page.length < PAGE_RECORDS && pageBytes < PAGE_BYTES) continue
      yield page
      page = []
      pageBytes = 0
    }
    if (page.length > 0) yield page
  }

  seal(): Seal {
    const at = ++this.#sealCount
    this.#sealed.set(at, { changeCount: this.#layers.changeCount, layer: this.#layers.seal() })
    return { at }
  }

  flush(seal: Seal): Promise<readonly OpenRun[]> {
    const { layer, changeCount } = this.#sealed.get(seal.at)!
    this.#sealed.delete(seal.at)
    return this.#dumper.dump(layer, changeCount)
  }

  engineState(): unknown {
    return {}
  }

  keepsAddresses(): boolean {
    return false
  }

  /** Runs of this engine never merge: those of a dump replace those of the one before. */
  async relocate(): Promise<void> {
    throw new Error("invariant broken: the memory engine has no merges")
  }

  statistics(): ReturnType<EngineCore["statistics"]> {
    return {
      recordCount: this.#layers.keyCount,
      memoryBytes: this.#layers.bytes,
      indexBytes: 0,
      flushCount: this.#dumper.dumpCount,
      bytesFlushed: this.#dumper.bytesDumped,
      diskReadCount: 0,
      stallCount: 0,
    }
  }

  async close(): Promise<void> {
    await this.#dumper.close()
  }

  async #load(): Promise<void> {
    const cursor = new RecordCursor()
    // A dump has each key once, in one of its runs.
    for (const run of [...this.#host.runs.newestFirst].reverse()) {
      for await (const { bytes, bytesOffset, hashes, from, to } of run.scan()) {
        for (let i = from; i < to; i++) {
          decodeRecord(bytes, hashes.offset[i]! - bytesOffset, bytes.length, cursor)
          const key = toByteString(bytes, cursor.keyStart, cursor.keyEnd)
          this.#layers.add(key, Uint8Array.prototype.slice.call(bytes, cursor.valueStart, cursor.end))
        }
      }
    }
    this.#dumper.isDumped(this.#layers.changeCount)
  }
}

function toByteString(bytes: Uint8Array, start: number, end: number): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1")
}
