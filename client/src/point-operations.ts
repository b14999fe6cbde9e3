// get, getMany, set, delete and write: arguments are checked and turned into bytes, a call is made for each share of a
// frame, and put into frames at once; before the store is described it waits with bytes of its own (point-path.ts).
//
// Nothing here is a closure on the way of a call that need not wait: a variable that a closure captures costs every
// call an object, whether the closure is made or not. What waits has its own methods for that reason.

import { recordBytes } from "@varve/proto"
import { type Bytes, toBytes } from "./bytes.ts"
import { owned, toKey } from "./call-arguments.ts"
import { checkArray, checkCallOptions, toFlag } from "./check-options.ts"
import type { Frame } from "./frame.ts"
import {
  type DeleteOptions,
  deadlineOf,
  type PointOptions,
  type SetOptions,
  type Settings,
  type WriteOptions,
} from "./options.ts"
import { GetCall, GetManyCall, ManyValues, type PointCall, WriteCall } from "./point-call.ts"
import type { PointPath } from "./point-path.ts"
import { isConditional, PreparedWrite } from "./prepared-write.ts"
import { capture, captured } from "./settlers.ts"
import type { WriteRecord } from "./state-types.ts"
import type { Topology } from "./topology.ts"
import { splitWrite, WriteGroup, type WritePart } from "./write-parts.ts"

/** The calls about keys, as `State` promises them. Arguments that are no good reject the promise. */
export class PointOperations {
  readonly #points: PointPath
  readonly #deadlineMs: number

  constructor(points: PointPath, { deadlineMs }: Settings) {
    this.#points = points
    this.#deadlineMs = deadlineMs
  }

  get(key: Bytes, options: PointOptions | undefined): Promise<Buffer | undefined> {
    const promise = new Promise<Buffer | undefined>(capture)
    const { resolve, reject } = captured
    let call: GetCall | undefined
    try {
      checkCallOptions("get", options)
      const keyBytes = toKey(key)
      const points = this.#points
      const deadlineMs = deadlineOf(options, this.#deadlineMs)
      call = new GetCall(points.now(), deadlineMs, options, resolve, reject)
      const bytes = recordBytes(keyBytes.length, 0)
      const topology = points.admit(call, bytes)
      if (topology === undefined) this.#waitToRead(call, owned(key, keyBytes), bytes, options?.partition)
      else this.#addRead(topology, call, keyBytes, bytes, options?.partition)
    } catch (error) {
      failCall(call, reject, error)
    }
    return promise
  }

  set(
    name: "set" | "delete",
    key: Bytes,
    value: Bytes,
    options: SetOptions | DeleteOptions | undefined,
  ): Promise<void> {
    const promise = new Promise<void>(capture)
    const { resolve, reject } = captured
    let call: WriteCall | undefined
    try {
      checkCallOptions(name, options)
      if (isConditional(options)) {
        const { ifAbsent, ifValue }: SetOptions = options ?? {}
        this.#write(PreparedWrite.of([{ key, value, ifAbsent, ifValue }]), options, resolve, reject)
        return promise
      }
      const keyBytes = toKey(key)
      const valueBytes = toBytes(value, "value")
      const points = this.#points
      const deadlineMs = deadlineOf(options, this.#deadlineMs)
      call = new WriteCall(points.now(), deadlineMs, options, resolve, reject)
      const bytes = recordBytes(keyBytes.length, valueBytes.length)
      const topology = points.admit(call, bytes)
      if (topology === undefined) {
        this.#waitToWrite(call, owned(key, keyBytes), owned(value, valueBytes), bytes, options?.partition)
      } else this.#addWrite(topology, call, keyBytes, valueBytes, bytes, options?.partition)
    } catch (error) {
      failCall(call, reject, error)
    }
    return promise
  }

  getMany(keys: readonly Bytes[], options: PointOptions | undefined): Promise<(Buffer | undefined)[]> {
    return new Promise((resolve, reject) => {
      checkCallOptions("getMany", options)
      checkArray(keys, "the argument of getMany", "keys")
      const keyList = keys.map(toKey)
      const many = new ManyValues(keyList.length, resolve, reject)
      if (keyList.length === 0) return
      const points = this.#points
      const call = new GetManyCall(points.now(), deadlineOf(options, this.#deadlineMs), options, many)
      const bytes = keyList.reduce((sum, key) => sum + recordBytes(key.length, 0), 0)
      const given = options?.partition
      try {
        const topology = points.admit(call, bytes)
        if (topology === undefined) {
          const copies = keyList.map((key, index) => owned(keys[index]!, key))
          points.wait(call, (then) => this.#addReads(then, call, copies, given))
        } else this.#addReads(topology, call, keyList, given)
      } catch (error) {
        call.fail(error)
      }
    })
  }

  write(records: readonly WriteRecord[], options: WriteOptions | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      checkCallOptions("write", options)
      toFlag(options?.atomic, "atomic")
      this.#write(PreparedWrite.of(records, options?.expected), options, resolve, reject)
    })
  }

  #waitToRead(call: GetCall, key: Uint8Array, bytes: number, given: number | undefined): void {
    this.#points.wait(call, (then) => this.#addRead(then, call, key, bytes, given))
  }

  #waitToWrite(
    call: WriteCall,
    key: Uint8Array,
    value: Uint8Array,
    bytes: number,
    given: number | undefined,
  ): void {
    this.#points.wait(call, (then) => this.#addWrite(then, call, key, value, bytes, given))
  }

  #addRead(
    topology: Topology,
    call: GetCall,
    key: Uint8Array,
    bytes: number,
    given: number | undefined,
  ): void {
    const frame = this.#points.frameFor(topology, topology.partitionOf(key, given), "operations", bytes, 1)
    frame.records.addRead(key)
    this.#points.added(frame, call, bytes)
  }

  #addReads(
    topology: Topology,
    first: GetManyCall,
    keys: readonly Uint8Array[],
    given: number | undefined,
  ): void {
    // A key that belongs elsewhere refuses the call before any of its keys is in a frame.
    const partitions = keys.map((key) => topology.partitionOf(key, given))
    const shares = new Map<Frame, GetManyCall>()
    for (const [index, key] of keys.entries()) {
      const bytes = recordBytes(key.length, 0)
      const frame = this.#points.frameFor(topology, partitions[index]!, "operations", bytes, 1)
      let share = shares.get(frame)
      if (share === undefined) {
        share = shares.size === 0 ? first : first.sibling()
        shares.set(frame, share)
        this.#points.added(frame, share, 0)
      }
      share.addIndex(index)
      frame.records.addRead(key)
      this.#points.weigh(frame, bytes)
    }
  }

  #addWrite(
    topology: Topology,
    call: WriteCall,
    key: Uint8Array,
    value: Uint8Array,
    bytes: number,
    given: number | undefined,
  ): void {
    topology.checkValueBytes(value.length)
    const frame = this.#points.frameFor(topology, topology.partitionOf(key, given), "operations", bytes, 1)
    frame.records.add(key, value)
    this.#points.added(frame, call, bytes)
  }

  #write(
    write: PreparedWrite,
    options: WriteOptions | undefined,
    resolve: () => void,
    reject: (error: unknown) => void,
  ): void {
    if (write.isEmpty) {
      resolve()
      return
    }
    const group = new WriteGroup(resolve, reject)
    const nowMs = this.#points.now()
    const deadlineMs = deadlineOf(options, this.#deadlineMs)
    const newCall = (): WriteCall => new WriteCall(nowMs, deadlineMs, options, group.done, group.failed)
    const call = newCall()
    const start = (topology: Topology, prepared: PreparedWrite): void => {
      const parts = splitWrite(topology, prepared, options)
      group.pending = parts.length
      for (const [index, part] of parts.entries()) {
        this.#addPart(topology, index === 0 ? call : newCall(), part, prepared)
      }
    }
    try {
      const topology = this.#points.admit(call, write.bytes)
      if (topology === undefined) {
        const copy = write.owned()
        this.#points.wait(call, (then) => start(then, copy))
      } else start(topology, write)
    } catch (error) {
      call.fail(error)
    }
  }

  #addPart(
    topology: Topology,
    call: WriteCall,
    { partition, indexes, bytes }: WritePart,
    { keys, values, expected }: PreparedWrite,
  ): void {
    call.recordCount = indexes.length
    const work = expected.length > 0 ? "conditionalWrites" : indexes.length > 1 ? "writes" : "operations"
    const frame = this.#points.frameFor(topology, partition, work, bytes, indexes.length)
    for (const index of indexes) frame.records.add(keys[index]!, values[index]!)
    for (const { key, value } of expected) frame.expected.add(key, value)
    this.#points.added(frame, call, bytes)
  }
}

/** Rejects the promise; by the call, when there is one, which then takes its hands off the signal. */
function failCall(call: PointCall | undefined, reject: (error: unknown) => void, error: unknown): void {
  if (call === undefined) reject(error)
  else call.fail(error)
}
