// A frame of operations, done in the moment it is handed over (operation-plan.ts says in which steps). What fails, fails
// alone:
//
//   an operation that no state would take          its own error
//   a read that the disk fails                     its own error
//   the engine takes no writes (full, stalled, …)  `writes_error`, of all of them; reads see the state without them
//   values that no message would hold              the answer ends before them; they are to be read again

import { type Engine, EngineError, NOT_READ, ReadBudget, type SequencedFrame } from "@varve/engines"
import {
  decodeOperation,
  type FrameError,
  type OperationError,
  type OperationResults,
  READ_FLAG,
  RecordCursor,
  VarveError,
} from "@varve/proto"
import type { Log } from "../log.ts"
import type { StoreOperations } from "../metrics/operation-metrics.ts"
import type { ShardPartition, ShardStore } from "../shard/shard-store.ts"
import { failureOf } from "./failure.ts"
import { type OperationPlan, OperationPlanner } from "./operation-plan.ts"
import { comesAgain } from "./session-frames.ts"
import { encodeValueList, listedBytes } from "./value-list.ts"

/** Of an error in an answer: tags, lengths, index, code, reason. */
const ERROR_OVERHEAD_BYTES = 64

/** A read that failed by itself. */
class FailedRead {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

type Read = Uint8Array | undefined | FailedRead

/** What came of the records to write. */
interface Written {
  readonly error?: unknown
  readonly pending?: Promise<void> | undefined
}

const NOTHING: readonly Read[] = []
const ALL_WRITTEN: Written = {}

export class OperationFrames {
  readonly #planner = new OperationPlanner()
  readonly #answerBytesMax: number
  readonly #log: Log

  constructor(answerBytesMax: number, log: Log) {
    this.#answerBytesMax = answerBytesMax
    this.#log = log
  }

  /**
   * Does the operations; all of their effects have happened when this returns.
   * @throws VarveError and EngineError; nothing of the frame was then applied
   */
  apply(
    store: ShardStore,
    { engine, index }: ShardPartition,
    list: Uint8Array,
    figures: StoreOperations,
    place?: SequencedFrame,
  ): OperationResults | Promise<OperationResults> {
    const startedMs = performance.now()
    const plan = this.#planner.plan(store, index, list)
    const { keys, own, writeCount } = plan
    const asked = own.size === 0 ? keys : keys.filter((_key, read) => !own.has(read))
    const reads = readAll(engine, asked, this.#answerBytesMax)
    const written = writeCount === 0 && place === undefined ? ALL_WRITTEN : write(engine, plan.batch, place)
    const isRefused = written.error !== undefined
    // What the frame would have written is not there: the engine knows what is.
    const instead = isRefused ? readAll(engine, ownKeys(plan), this.#answerBytesMax) : NOTHING
    const answer = (
      found: readonly Read[],
      insteadFound: readonly Read[],
      error: unknown,
    ): OperationResults => {
      const values = own.size === 0 ? found : inOrder(plan, found, insteadFound, isRefused)
      const results = this.#results(plan, values, error)
      if (keys.length > 0) figures.pipeline_read.done(keys.length, startedMs)
      if (error !== undefined) figures.pipeline_write.fail(error)
      else if (writeCount > 0) figures.pipeline_write.done(writeCount, startedMs)
      return results
    }
    const { pending } = written
    if (pending === undefined && !(reads instanceof Promise) && !(instead instanceof Promise)) {
      return answer(reads, instead, written.error)
    }
    return settled(reads, instead, written).then((all) => {
      if (place !== undefined && comesAgain(all[2])) throw all[2]
      return answer(...all)
    })
  }

  #results(plan: OperationPlan, reads: readonly Read[], writesError: unknown): OperationResults {
    const errors = plan.refusals.map(({ index, error }) => ({ index, error: this.#told(error) }))
    const values = this.#fitting(plan, reads, errors)
    return {
      values: encodeValueList(values, () => undefined),
      written: writesError === undefined ? plan.writeCount : 0,
      errors,
      writesError: writesError === undefined ? undefined : this.#told(writesError),
    }
  }

  /** The values that the answer has room for, the first ones; adds what failed of them to `errors`, which stay in order. */
  #fitting(
    plan: OperationPlan,
    given: readonly Read[],
    errors: OperationError[],
  ): readonly (Uint8Array | undefined)[] {
    const bytesMax = this.#answerBytesMax
    const reads = firstFits(given, bytesMax) ? given : [unfit(given[0], bytesMax), ...given.slice(1)]
    let bytes = errors.reduce((sum, error) => sum + bytesOf(error), 0)
    let places: readonly number[] | undefined
    let count = 0
    for (; count < reads.length; count++) {
      const read = reads[count]
      if (read === NOT_READ && count > 0) break
      let failure: OperationError | undefined
      if (read instanceof FailedRead) {
        places ??= placesOfReads(plan)
        failure = { index: places[count]!, error: this.#told(read.error) }
        bytes += bytesOf(failure)
      } else bytes += listedBytes(read)
      // An answer that says nothing would be asked for again and again.
      if (bytes > bytesMax && (count > 0 || errors.length > 0)) break
      if (failure !== undefined) errors.push(failure)
    }
    if (places === undefined && count === reads.length) return reads as readonly (Uint8Array | undefined)[]
    errors.sort((a, b) => a.index - b.index)
    return reads.slice(0, count).map((read) => (read instanceof FailedRead ? undefined : read))
  }

  #told(error: unknown): FrameError {
    const { code, reason, message } = failureOf(error, this.#log)
    return { code, reason, message }
  }
}

/**
 * What came of the records to write; when the engine takes none of them, `error` says why.
 * @throws VarveError and EngineError, with a place: the frame is refused whole, or comes again
 */
function write(engine: Engine, batch: Uint8Array, place: SequencedFrame | undefined): Written {
  try {
    return { pending: engine.writeEncoded(batch, undefined, place).pending }
  } catch (error) {
    if (place !== undefined && (!(error instanceof EngineError) || comesAgain(error))) throw error
    return { error }
  }
}

/** Values, or what failed, of each key by itself, or `NOT_READ` above `bytesMax`; never rejects. */
function readAll(
  engine: Engine,
  keys: readonly Uint8Array[],
  bytesMax: number,
): readonly Read[] | Promise<readonly Read[]> {
  if (keys.length === 0) return NOTHING
  const values = engine.getMany(keys, new ReadBudget(bytesMax))
  // One key that cannot be read fails the read of many: then each is read by itself.
  return values instanceof Promise
    ? values.catch(() => {
        const budget = new ReadBudget(bytesMax)
        return Promise.all(keys.map((key) => readOne(engine, key, budget)))
      })
    : values
}

/** Whether an answer that holds nothing else holds the first value. */
function firstFits([first]: readonly Read[], bytesMax: number): boolean {
  if (first === NOT_READ) return false
  return first instanceof FailedRead || listedBytes(first) <= bytesMax
}

function unfit(value: Read, bytesMax: number): FailedRead {
  if (value === NOT_READ) {
    // It came from the disk, after others had spent the budget. Another frame may bring it.
    return new FailedRead(new VarveError("OVERLOADED", "the frame's other values left no room for this one"))
  }
  const bytes = value instanceof Uint8Array ? value.length : 0
  return new FailedRead(
    new VarveError(
      "MESSAGE_TOO_LARGE",
      `the value has ${bytes} bytes; an answer holds at most ${bytesMax} (limits.messageBytesMax)`,
    ),
  )
}

async function readOne(engine: Engine, key: Uint8Array, budget: ReadBudget): Promise<Read> {
  try {
    return await budget.keep(engine.get(key))
  } catch (error) {
    return new FailedRead(error)
  }
}

async function settled(
  reads: readonly Read[] | Promise<readonly Read[]>,
  instead: readonly Read[] | Promise<readonly Read[]>,
  { error, pending }: Written,
): Promise<[readonly Read[], readonly Read[], unknown]> {
  let failure = error
  const [found, insteadFound] = await Promise.all([
    reads,
    instead,
    pending?.catch((late: unknown) => {
      failure = late
    }),
  ])
  return [found, insteadFound, failure]
}

/** Keys of the reads that the frame was to answer. */
function ownKeys({ keys, own }: OperationPlan): Uint8Array[] {
  return [...own.keys()].map((read) => keys[read]!).filter((key) => key.length > 0)
}

/** All reads in their order: what the engine was asked for, and the frame's own or what the engine has instead. */
function inOrder(
  { keys, own }: OperationPlan,
  found: readonly Read[],
  instead: readonly Read[],
  isRefused: boolean,
): Read[] {
  let next = 0
  let nextInstead = 0
  return keys.map((key, read) => {
    const value = own.get(read)
    if (value === undefined) return found[next++]
    return isRefused && key.length > 0 ? instead[nextInstead++] : value
  })
}

/** Where the reads stand among the operations. */
function placesOfReads({ list }: OperationPlan): number[] {
  const places: number[] = []
  const cursor = new RecordCursor()
  for (let at = 0, index = 0; at < list.length; at = cursor.end, index++) {
    decodeOperation(list, at, list.length, cursor)
    if (cursor.flags === READ_FLAG) places.push(index)
  }
  return places
}

function bytesOf({ error }: OperationError): number {
  // A character has at most three bytes.
  return ERROR_OVERHEAD_BYTES + 3 * (error?.message.length ?? 0)
}
