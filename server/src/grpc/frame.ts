// One frame of a pipeline, applied in the moment it is handed over: a call takes effect when it is made, so the
// order of frames is the order of their effects, whatever their answers wait for. The exception are conditional writes
// that ask the disk (engines/src/engine.ts).
//
// Cost of a read: one pass over the keys (decoding, slot), one view a key for the engine, one buffer for the
// answer. Cost of a write: one pass over the records for the slots, one in the engine that checks them.

import { decodeRecord, RecordCursor } from "@varve/engines/internal"
import { type PipelineRequest, type PipelineResponse, partitionOfKey, VarveError } from "@varve/proto"
import type { OperationFigures, OperationMetrics, StoreOperations } from "../metrics/operation-metrics.ts"
import { type ShardPartition, type ShardStore, wrongPartition } from "../shard/shard-store.ts"
import { checkLineage } from "../shard/store.ts"
import type { Stores } from "../shard/stores.ts"
import { checkKeyCount, checkReadBytes } from "./read-limits.ts"
import { encodeValueList } from "./value-list.ts"

const EMPTY = new Uint8Array(0)

type Result = NonNullable<PipelineResponse["result"]>

/** Where a frame goes. */
export interface FrameTarget {
  readonly store: ShardStore
  readonly partition: ShardPartition
}

export class Frames {
  readonly #stores: Stores<ShardStore>
  readonly #operations: OperationMetrics
  readonly #answerBytesMax: number
  readonly #cursor = new RecordCursor()

  constructor(stores: Stores<ShardStore>, operations: OperationMetrics, answerBytesMax: number) {
    this.#stores = stores
    this.#operations = operations
    this.#answerBytesMax = answerBytesMax
  }

  /** @throws VarveError `STORE_UNKNOWN`, `PARTITION_OUT_OF_RANGE` */
  target(frame: PipelineRequest): FrameTarget {
    const store = this.#stores.get(frame.store)
    return { store, partition: store.partition(frame.partition) }
  }

  /**
   * Does the frame's work; all of its effects have happened when this returns, even if the result comes later; those
   * of a conditional write have happened when the result is there.
   * @throws VarveError and EngineError; nothing of the frame was then applied
   */
  apply({ store, partition }: FrameTarget, { work, lineage }: PipelineRequest): Result | Promise<Result> {
    if (work === undefined)
      throw new VarveError("FRAME_MALFORMED", "the frame carries neither reads nor writes")
    if (lineage !== "") checkLineage(partition, lineage)
    const operations = this.#operations.of(store.settings.name)
    if (work.$case === "reads") return this.#read(store, partition, work.value, operations)
    if (work.$case === "writes") {
      return this.#write(store, partition, work.value, EMPTY, operations.pipeline_write)
    }
    if (work.$case === "operations")
      throw new VarveError("FRAME_MALFORMED", "frames of operations are not taken")
    const { records, expected } = work.value
    // Whoever lost the conditions on the way must not write without them.
    if (expected.length === 0)
      throw new VarveError("FRAME_MALFORMED", "conditional writes without conditions")
    return this.#write(store, partition, records, expected, operations.conditional_write)
  }

  #read(
    store: ShardStore,
    { engine, index }: ShardPartition,
    list: Uint8Array,
    operations: StoreOperations,
  ): Result | Promise<Result> {
    const startedMs = performance.now()
    const figures = operations.pipeline_read
    const fail = (error: unknown): never => {
      figures.fail(error)
      throw error
    }
    const answer = (values: readonly (Uint8Array | undefined)[]): Result => {
      const value = encodeValueList(values, (bytes) => checkReadBytes(bytes, this.#answerBytesMax))
      figures.done(values.length, startedMs)
      return { $case: "values", value }
    }
    try {
      const values = engine.getMany(this.#keys(store, index, list))
      return values instanceof Promise ? values.then(answer).catch(fail) : answer(values)
    } catch (error) {
      return fail(error)
    }
  }

  #write(
    store: ShardStore,
    { engine, index }: ShardPartition,
    batch: Uint8Array,
    expected: Uint8Array,
    figures: OperationFigures,
  ): Result | Promise<Result> {
    const startedMs = performance.now()
    const fail = (error: unknown): never => {
      figures.fail(error)
      throw error
    }
    try {
      this.#checkOwner(store, index, batch)
      this.#checkOwner(store, index, expected)
      const { recordCount, pending } = engine.writeEncoded(batch, expected)
      const answer = (): Result => {
        figures.done(recordCount, startedMs)
        return { $case: "written", value: recordCount }
      }
      return pending === undefined ? answer() : pending.then(answer).catch(fail)
    } catch (error) {
      return fail(error)
    }
  }

  /** The keys of a list, as views of it, all of them the partition's own. */
  #keys(store: ShardStore, partition: number, list: Uint8Array): Uint8Array[] {
    const cursor = this.#cursor
    const partitionCount = store.partitions.length
    const byHash = store.settings.partitioning === "hash" && partitionCount > 1
    const keys: Uint8Array[] = []
    for (let at = 0; at < list.length; at = cursor.end) {
      if (
        !decodeRecord(list, at, list.length, cursor) ||
        cursor.end !== cursor.valueStart ||
        cursor.flags !== 0
      ) {
        throw malformed("key", keys.length, at, list)
      }
      if (byHash) {
        const owner = partitionOfKey(list, partitionCount, cursor.keyStart, cursor.keyEnd)
        if (owner !== partition) throw wrongPartition(partition, owner)
      }
      keys.push(list.subarray(cursor.keyStart, cursor.keyEnd))
    }
    checkKeyCount(keys.length)
    return keys
  }

  /** Every key of the batch is the partition's own. What is no record is left to the engine, which says so. */
  #checkOwner(store: ShardStore, partition: number, batch: Uint8Array): void {
    const partitionCount = store.partitions.length
    if (store.settings.partitioning !== "hash" || partitionCount === 1) return
    const cursor = this.#cursor
    for (let at = 0; at < batch.length; at = cursor.end) {
      if (!decodeRecord(batch, at, batch.length, cursor)) return
      const owner = partitionOfKey(batch, partitionCount, cursor.keyStart, cursor.keyEnd)
      if (owner !== partition) throw wrongPartition(partition, owner)
    }
  }
}

function malformed(what: string, index: number, at: number, list: Uint8Array): VarveError {
  return new VarveError(
    "RECORD_MALFORMED",
    `${what} ${index}, at byte ${at} of ${list.length}, is not a whole ${what}`,
  )
}
