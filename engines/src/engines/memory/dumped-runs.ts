// The runs of one dump, one after the other: records go into a buffer, and from there to the run that is being written.

import { createHash } from "node:crypto"
import { KeyHasher } from "../../base/key-hash.ts"
import { encodeRecordHeader, RECORD_HEADER_BYTES_MAX } from "../../base/record.ts"
import type { CoreHost } from "../../core.ts"
import { newRun } from "../../runs/new-run.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import { RunWriter } from "../../runs/run-writer.ts"
import type { ByteString } from "./layers.ts"

/** The same for all: where the same records are in two partitions, the same keys begin a run. */
const CUT_SEED = 1
/** Encoded bytes that are given to the writer at a time, unless one record is longer. */
const BUFFER_BYTES = 256 * 1024

export interface DumpedRunsUses {
  /** Whether a run of records with this SHA-256 is there already; the one that was written is then removed. */
  isKnown(digest: string): boolean
  /** Takes over a run: durable, and held. */
  onRun(run: OpenRun, digest: string): void
}

/** Calls do not overlap. After one that failed only `abandon` may be called. */
export class DumpedRuns {
  readonly #host: CoreHost<unknown>
  readonly #cutMask: number
  readonly #uses: DumpedRunsUses
  readonly #hasher: KeyHasher
  readonly #cutHasher = new KeyHasher(CUT_SEED)
  /** Of the records that the writer has: all else in the run follows from them. */
  #digest = createHash("sha256")
  #writer: RunWriter | undefined
  #buffer = Buffer.allocUnsafe(BUFFER_BYTES)
  /** Of the bytes in the buffer, which the writer does not have yet. */
  #end = 0

  /**
   * @param cutMask a key begins a run when its hash, under a seed that is the same everywhere, has none of these bits
   */
  constructor(host: CoreHost<unknown>, cutMask: number, uses: DumpedRunsUses) {
    this.#host = host
    this.#cutMask = cutMask
    this.#uses = uses
    this.#hasher = new KeyHasher(host.hashSeed)
  }

  /** Adds a record behind the others; an empty value is a tombstone. Returns a promise when the next one has to wait. */
  add(key: ByteString, value: Uint8Array): Promise<void> | undefined {
    const bytesMax = RECORD_HEADER_BYTES_MAX + key.length + value.length
    if (this.#writer !== undefined && this.#end + bytesMax <= this.#buffer.length) {
      const start = this.#end
      this.#encode(key, value)
      if (!this.#beginsRun()) return this.#list(start, value)
      this.#end = start
    }
    return this.#addSlowly(key, value, bytesMax)
  }

  /** Finishes the last run. */
  async finish(): Promise<void> {
    const writer = this.#writer
    if (writer === undefined) return
    await this.#flush(writer)
    const digest = this.#digest.digest("hex")
    this.#digest = createHash("sha256")
    if (this.#uses.isKnown(digest)) {
      await writer.abandon()
      this.#writer = undefined
      return
    }
    const run = await this.#host.directory.adopt(await writer.finish())
    this.#writer = undefined
    this.#uses.onRun(run, digest)
  }

  /** Removes the run that is being written. */
  async abandon(): Promise<void> {
    await this.#writer?.abandon()
  }

  /** The record has no room in the buffer, or begins a run. */
  async #addSlowly(key: ByteString, value: Uint8Array, bytesMax: number): Promise<void> {
    if (this.#writer !== undefined) await this.#flush(this.#writer)
    if (bytesMax > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(bytesMax)
    this.#encode(key, value)
    const bytes = this.#end
    if (this.#beginsRun()) {
      this.#end = 0
      await this.finish()
      this.#end = bytes
    }
    if (this.#writer === undefined) {
      const { origin, path } = newRun(this.#host, 0)
      this.#writer = await RunWriter.create(this.#host.fileSystem, path, origin)
    }
    this.#list(0, value)
  }

  /** Puts the record behind `end`, and hashes its key. */
  #encode(key: ByteString, value: Uint8Array): void {
    const keyStart = encodeRecordHeader(this.#buffer, this.#end, key.length, value.length)
    const keyEnd = keyStart + this.#buffer.write(key, keyStart, "latin1")
    this.#buffer.set(value, keyEnd)
    this.#end = keyEnd + value.length
    this.#hasher.hash(this.#buffer, keyStart, keyEnd)
    this.#cutHasher.hash(this.#buffer, keyStart, keyEnd)
  }

  #beginsRun(): boolean {
    return (this.#cutHasher.h1 & this.#cutMask) === 0
  }

  /** Lists the record that was encoded last, which starts at `start` of the buffer. */
  #list(start: number, value: Uint8Array): undefined {
    const writer = this.#writer!
    writer.entry(this.#hasher.h1, this.#hasher.h2, writer.recordsBytes + start, value.length === 0)
  }

  async #flush(writer: RunWriter): Promise<void> {
    const records = this.#buffer.subarray(0, this.#end)
    this.#digest.update(records)
    const pending = writer.append(records)
    if (pending !== undefined) await pending
    this.#end = 0
  }
}
