// One frame of a pipeline, applied in the moment it is handed over: a call takes effect when it is made, so the
// order of frames is the order of their effects, whatever their answers wait for. The exception are conditional writes
// that ask the disk (engines/src/engine.ts).
//
// Cost of a read: one pass over the keys (decoding, slot), one view a key for the engine, one buffer for the
// answer. Cost of a write: one pass over the records for the slots, one in the engine that checks them.

import { ReadBudget, type SequencedFrame } from "@varve/engines"
import { decodeRecord, RecordCursor, refuseRecord } from "@varve/engines/internal"
import { type PipelineRequest, type PipelineResponse, partitionOfKey, VarveError } from "@varve/proto"
import type { Log } from "../log.ts"
import type { OperationFigures, OperationMetrics, StoreOperations } from "../metrics/operation-metrics.ts"
import { checkLineage } from "../shard/lineage.ts"
import { type ShardPartition, type ShardStore, wrongPartition } from "../shard/shard-store.ts"
import type { Stores } from "../shard/stores.ts"
import { OperationFrames } from "./operation-frames.ts"
import { checkBudget, checkKeyCount, checkReadBytes, checkRecordCount, mayBeTooMany } from "./read-limits.ts"
import { placeOf } from "./session-frames.ts"
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
  readonly #mixed: OperationFrames

  constructor(stores: Stores<ShardStore>, operations: OperationMetrics, answerBytesMax: number, log: Log) {
    this.#stores = stores
    this.#operations = operations
    this.#answerBytesMax = answerBytesMax
    this.#mixed = new OperationFrames(answerBytesMax, log)
  }

  /** @throws VarveError `STORE_UNKNOWN`, `PARTITION_OUT_OF_RANGE` */
  target(frame: PipelineRequest): FrameTarget {
    const store = this.#stores.get(frame.store)
    return { store, partition: store.partition(frame.partition) }
  }

  /**
   * Does the frame's work; all of its effects have happened when this returns, even if the result comes later; those
   * of a conditional write have happened when the result is there. A frame that came before is answered from that.
   * @param admit throws when no work is taken now
   * @throws VarveError and EngineError; nothing of the frame was then applied
   */
  apply(
    { store, partition }: FrameTarget,
    frame: PipelineRequest,
    admit: () => void,
  ): Result | Promise<Result> {
    const { work, lineage } = frame
    if (work === undefined)
      throw new VarveError(
        "FRAME_MALFORMED",
        "the frame carries no work that this daemon knows: reads, writes, conditional_writes or operations",
      )
    if (lineage !== "") checkLineage(partition, lineage)
    const operations = this.#operations.of(store.settings.name)
    if (work.$case === "reads") {
      if (frame.session.length > 0)
        throw new VarveError("FRAME_MALFORMED", "a frame of reads has no place in a session")
      admit()
      return this.#read(store, partition, work.value, operations)
    }
    if (work.$case === "operations") {
      const place = placeOf(frame, admit)
      if (place === undefined) admit()
      return this.#mix(store, partition, work.value, operations, place)
    }
    const isConditional = work.$case === "conditionalWrites"
    const { records, expected } = isConditional ? work.value : { records: work.value, expected: EMPTY }
    // Whoever lost the conditions on the way must not write without them.
    if (isConditional && expected.length === 0)
      throw new VarveError("FRAME_MALFORMED", "conditional writes without conditions")
    const admitAll = (): void => {
      admit()
      this.#checkOwner(store, partition.index, records)
      this.#checkOwner(store, partition.index, expected)
    }
    const place = placeOf(frame, admitAll)
    if (place === undefined) admitAll()
    const figures = isConditional ? operations.conditional_write : operations.pipeline_write
    return this.#write(partition, records, expected, figures, place)
  }

  #mix(
    store: ShardStore,
    partition: ShardPartition,
    list: Uint8Array,
    operations: StoreOperations,
    place: SequencedFrame | undefined,
  ): Result | Promise<Result> {
    const results = this.#mixed.apply(store, partition, list, operations, place)
    return results instanceof Promise
      ? results.then((value) => ({ $case: "operations", value }))
      : { $case: "operations", value: results }
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
    const budget = new ReadBudget(this.#answerBytesMax)
    const answer = (values: readonly (Uint8Array | undefined)[]): Result => {
      checkBudget(budget)
      const value = encodeValueList(values, (bytes) => checkReadBytes(bytes, this.#answerBytesMax))
      figures.done(values.length, startedMs)
      return { $case: "values", value }
    }
    try {
      const values = engine.getMany(this.#keys(store, index, list), budget)
      return values instanceof Promise ? values.then(answer).catch(fail) : answer(values)
    } catch (error) {
      return fail(error)
    }
  }

  #write(
    { engine }: ShardPartition,
    batch: Uint8Array,
    expected: Uint8Array,
    figures: OperationFigures,
    place: SequencedFrame | undefined,
  ): Result | Promise<Result> {
    const startedMs = performance.now()
    const fail = (error: unknown): never => {
      figures.fail(error)
      throw error
    }
    try {
      const { recordCount, pending } = engine.writeEncoded(batch, expected, place)
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
      if (!decodeRecord(list, at, list.length, cursor) || cursor.flags !== 0) {
        refuseRecord(list, at, `key ${keys.length}`)
      }
      if (cursor.end !== cursor.valueStart) {
        throw new VarveError("RECORD_MALFORMED", `key ${keys.length} carries a value; keys to read have none`)
      }
      if (byHash) {
        const owner = partitionOfKey(list, partitionCount, cursor.keyStart, cursor.keyEnd)
        if (owner !== partition) throw wrongPartition(partition, owner)
      }
      keys.push(list.subarray(cursor.keyStart, cursor.keyEnd))
      checkKeyCount(keys.length)
    }
    return keys
  }

  /**
   * Every key of the batch is the partition's own, and there are not too many. What is no record is left to the
   * engine, which says so.
   */
  #checkOwner(store: ShardStore, partition: number, batch: Uint8Array): void {
    const partitionCount = store.partitions.length
    const byHash = store.settings.partitioning === "hash" && partitionCount > 1
    if (!byHash && !mayBeTooMany(batch)) return
    const cursor = this.#cursor
    let count = 0
    for (let at = 0; at < batch.length; at = cursor.end) {
      if (!decodeRecord(batch, at, batch.length, cursor)) return
      checkRecordCount(++count)
      if (!byHash) continue
      const owner = partitionOfKey(batch, partitionCount, cursor.keyStart, cursor.keyEnd)
      if (owner !== partition) throw wrongPartition(partition, owner)
    }
  }
}
