// The unary calls on keys. What is in memory is answered without a promise.

import { ReadBudget } from "@varve/engines"
import type {
  DeleteRequest,
  DeleteResponse,
  GetManyRequest,
  GetManyResponse,
  GetRequest,
  GetResponse,
  KeyValue,
  SetRequest,
  SetResponse,
  WriteRequest,
  WriteResponse,
} from "@varve/proto"
import { checkKeyBytes, VarveError } from "@varve/proto"
import type { OperationFigures, OperationKind, OperationMetrics } from "../metrics/operation-metrics.ts"
import type { ShardPartition, ShardStore } from "../shard/shard-store.ts"
import type { Stores } from "../shard/stores.ts"
import type { Inflight } from "./inflight.ts"
import { checkBudget, checkKeyCount, checkReadBytes } from "./read-limits.ts"

export class PointCalls {
  readonly #stores: Stores<ShardStore>
  readonly #operations: OperationMetrics
  readonly #inflight: Inflight
  readonly #answerBytesMax: number

  constructor(
    stores: Stores<ShardStore>,
    operations: OperationMetrics,
    inflight: Inflight,
    answerBytesMax: number,
  ) {
    this.#stores = stores
    this.#operations = operations
    this.#inflight = inflight
    this.#answerBytesMax = answerBytesMax
  }

  get(request: GetRequest): GetResponse | Promise<GetResponse> {
    const { key } = request
    return this.#run(request.store, "get", 1, (store) => {
      const { engine } = store.partitionOf(checkKey(key), request.partition)
      const value = engine.get(key)
      return value instanceof Promise ? this.#held(key.length, value.then(found)) : found(value)
    })
  }

  set(request: SetRequest): SetResponse | Promise<SetResponse> {
    const { key, value } = request
    return this.#run(request.store, "set", 1, (store) => {
      const { engine } = store.partitionOf(checkKey(key), request.partition)
      return this.#done(key.length + value.length, engine.set(key, value), {})
    })
  }

  delete(request: DeleteRequest): DeleteResponse | Promise<DeleteResponse> {
    const { key } = request
    return this.#run(request.store, "delete", 1, (store) => {
      const { engine } = store.partitionOf(checkKey(key), request.partition)
      return this.#done(key.length, engine.delete(key), {})
    })
  }

  getMany(request: GetManyRequest): GetManyResponse | Promise<GetManyResponse> {
    const { keys } = request
    return this.#run(request.store, "get_many", keys.length, (store) => {
      checkKeyCount(keys.length)
      // All keys are checked before any is read; the positions of the answers are kept.
      const positions = new Map<ShardPartition, number[]>()
      for (const [at, key] of keys.entries()) {
        const partition = store.partitionOf(checkKey(key), request.partition)
        const list = positions.get(partition)
        if (list === undefined) positions.set(partition, [at])
        else list.push(at)
      }
      const values = new Array<GetResponse>(keys.length)
      const place = (list: readonly number[], part: readonly (Uint8Array | undefined)[]): void => {
        for (const [at, position] of list.entries()) values[position] = found(part[at])
      }
      const pending: Promise<void>[] = []
      const budget = new ReadBudget(this.#answerBytesMax)
      for (const [{ engine }, list] of positions) {
        const part = engine.getMany(
          list.map((at) => keys[at]!),
          budget,
        )
        if (part instanceof Promise) pending.push(part.then((late) => place(list, late)))
        else place(list, part)
      }
      const answer = (): GetManyResponse => {
        checkBudget(budget)
        checkReadBytes(
          values.reduce((sum, { value }) => sum + value.length + ANSWER_OVERHEAD_BYTES, 0),
          this.#answerBytesMax,
        )
        return { values }
      }
      if (pending.length === 0) return answer()
      return this.#held(
        keys.reduce((sum, key) => sum + key.length, 0),
        Promise.all(pending).then(answer),
      )
    })
  }

  write(request: WriteRequest): WriteResponse | Promise<WriteResponse> {
    const { records, expected } = request
    const kind = expected.length === 0 ? "write" : "conditional_write"
    return this.#run(request.store, kind, records.length, (store) => {
      if (records.length === 0 && expected.length === 0) {
        if (request.partition !== undefined) store.partition(request.partition)
        return { records: 0 }
      }
      let owner: ShardPartition | undefined
      for (const { key } of [...records, ...expected]) {
        const partition = store.partitionOf(checkKey(key), request.partition)
        if (owner !== undefined && partition !== owner) {
          throw new VarveError(
            "PARTITION_REQUIRED",
            `the keys belong to several partitions (${owner.index} and ${partition.index}): write each part by itself`,
          )
        }
        owner = partition
      }
      const bytes = bytesOf(records) + bytesOf(expected)
      return this.#done(bytes, owner!.engine.write(records, { expected }), { records: records.length })
    })
  }

  #run<Response>(
    storeName: string,
    kind: OperationKind,
    records: number,
    work: (store: ShardStore) => Response | Promise<Response>,
  ): Response | Promise<Response> {
    const store = this.#stores.get(storeName)
    const figures: OperationFigures = this.#operations.of(store.settings.name)[kind]
    return figures.measure(records, () => {
      this.#inflight.check()
      return work(store)
    })
  }

  #done<Response>(
    bytes: number,
    pending: Promise<void> | undefined,
    response: Response,
  ): Response | Promise<Response> {
    return pending === undefined
      ? response
      : this.#held(
          bytes,
          pending.then(() => response),
        )
  }

  #held<Response>(bytes: number, pending: Promise<Response>): Promise<Response> {
    return this.#inflight.during(bytes, pending)
  }
}

const EMPTY = new Uint8Array(0)
/** Of one value in an answer: tags and lengths. */
const ANSWER_OVERHEAD_BYTES = 16

function bytesOf(records: readonly KeyValue[]): number {
  return records.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
}

function found(value: Uint8Array | undefined): GetResponse {
  return value === undefined ? { found: false, value: EMPTY } : { found: true, value }
}

/** The key, which every partition would take. @throws VarveError `KEY_EMPTY`, `KEY_TOO_LARGE` */
function checkKey(key: Uint8Array): Uint8Array {
  checkKeyBytes(key.length)
  return key
}
