// Writes everything below a seal as one run, in slices, so that reads and writes go on. Dumps follow one another:
// the layers of one are folded together before the next begins.

import { isEngineError } from "../../base/error.ts"
import { KeyHasher } from "../../base/key-hash.ts"
import { encodeRecordHeader, RECORD_HEADER_BYTES_MAX } from "../../base/record.ts"
import type { CoreHost } from "../../core.ts"
import { newRun } from "../../runs/new-run.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import { RunWriter } from "../../runs/run-writer.ts"
import { UnopenedRun } from "../../runs/unopened-run.ts"
import type { ByteString, Layer, Layers } from "./layers.ts"

/** Records encoded, or keys folded, in one turn of the event loop: about 2 ms. */
const SLICE_RECORDS = 2048
/** Encoded bytes that are given to the writer at a time, unless one record is longer. */
const BUFFER_BYTES = 256 * 1024

export class Dumper {
  readonly #host: CoreHost<unknown>
  readonly #layers: Layers
  #last: Promise<void> = Promise.resolve()
  dumpCount = 0
  bytesDumped = 0

  constructor(host: CoreHost<unknown>, layers: Layers) {
    this.#host = host
    this.#layers = layers
  }

  /** Resolves the run, durable and retained, that holds everything below `layer`; none when that is nothing. */
  dump(layer: Layer): Promise<readonly OpenRun[]> {
    const dumped = this.#last.then(() => this.#dump(layer))
    this.#last = dumped.then(
      () => this.#fold(),
      () => this.#fold(),
    )
    return dumped
  }

  /** Waits for the dump that is under way. */
  async close(): Promise<void> {
    await this.#last
  }

  async #dump(layer: Layer): Promise<readonly OpenRun[]> {
    const { directory, fileSystem, runs } = this.#host
    const replaced = runs.newestFirst
    const entries = this.#layers.entries(layer)
    const first = entries.next()
    if (first.done === true) {
      runs.remove(replaced)
      return []
    }
    const { origin, path } = newRun(this.#host, 0)
    const writer = await RunWriter.create(fileSystem, path, origin)
    try {
      await this.#encode(writer, first.value, entries)
      const figures = await writer.finish()
      const run = await directory.adopt(figures)
      this.dumpCount++
      this.bytesDumped += figures.bytes
      runs.replace(replaced, run)
      runs.retire(replaced)
      return runs.retainAll()
    } catch (error) {
      // Space comes back, and a read that failed has lost nothing; a disk that failed to write may have lost more than
      // it told.
      if (!isEngineError(error, "STORAGE_FULL") && !(error instanceof UnopenedRun)) this.#host.poison(error)
      await writer.abandon()
      throw error
    }
  }

  async #encode(
    writer: RunWriter,
    first: [ByteString, Uint8Array],
    rest: Generator<[ByteString, Uint8Array]>,
  ): Promise<void> {
    const hasher = new KeyHasher(this.#host.hashSeed)
    let buffer = Buffer.allocUnsafe(BUFFER_BYTES)
    let end = 0
    let sliceCount = 0
    const flush = async (): Promise<void> => {
      const pending = writer.append(buffer.subarray(0, end))
      if (pending !== undefined) await pending
      end = 0
    }
    for (
      let next: IteratorResult<[ByteString, Uint8Array]> = { value: first };
      !next.done;
      next = rest.next()
    ) {
      const [key, value] = next.value
      const bytesMax = RECORD_HEADER_BYTES_MAX + key.length + value.length
      if (end + bytesMax > buffer.length) {
        await flush()
        if (bytesMax > buffer.length) buffer = Buffer.allocUnsafe(bytesMax)
      }
      const offset = writer.recordsBytes + end
      const keyStart = encodeRecordHeader(buffer, end, key.length, value.length)
      const keyEnd = keyStart + buffer.write(key, keyStart, "latin1")
      buffer.set(value, keyEnd)
      end = keyEnd + value.length
      hasher.hash(buffer, keyStart, keyEnd)
      writer.entry(hasher.h1, hasher.h2, offset, false)
      if (++sliceCount % SLICE_RECORDS === 0) await this.#host.clock.nextTurn()
    }
    await flush()
  }

  async #fold(): Promise<void> {
    let stepCount = 0
    const steps = this.#layers.fold()
    while (steps.next().done !== true) {
      if (++stepCount % SLICE_RECORDS === 0) await this.#host.clock.nextTurn()
    }
  }
}
