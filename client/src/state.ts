// What a worker holds: one store of a daemon.
//
//     const state = connect("127.0.0.1:7400", { store: "default" })
//     await state.set("user:1", "Ada")
//     const value = await state.get("user:1")            // Buffer | undefined
//     await state.snapshot({ version: 7, metadata: "offset 1234" })
//     await state.close()
//
// Order: calls about one partition take effect in the order in which they are made, awaited or not. `snapshot`,
// `restore` and `scan` begin when every point call that was made before them has its answer.

import { recordBytes, VarveError } from "@varve/proto"
import { parseAddress } from "./address.ts"
import { type Bytes, EMPTY, toBytes } from "./bytes.ts"
import { owned, toKey, toLimit, toPartition, toPartitions, toVersion } from "./call-arguments.ts"
import { checkArray, checkCallOptions, checkNeededOptions, toFlag, toText } from "./check-options.ts"
import { type CallEnd, ControlCalls } from "./control-calls.ts"
import type { Frame } from "./frame.ts"
import {
  type CallOptions,
  type ConnectOptions,
  type DeleteOptions,
  deadlineOf,
  type PointOptions,
  parseOptions,
  type SetOptions,
  type Settings,
  type WriteOptions,
} from "./options.ts"
import { plain } from "./plain.ts"
import { GetCall, GetManyCall, ManyValues, WriteCall } from "./point-call.ts"
import { PointPath } from "./point-path.ts"
import { isConditional, PreparedWrite } from "./prepared-write.ts"
import type {
  Description,
  PinOptions,
  RestoreOptions,
  RestoreResult,
  ScanOptions,
  SnapshotOptions,
  SnapshotResult,
  SnapshotSummary,
  StateRecord,
  VersionOptions,
  WriteRecord,
} from "./state-types.ts"
import type { Topology } from "./topology.ts"
import { splitWrite, WriteGroup, type WritePart } from "./write-parts.ts"

/**
 * A store of the daemon at `address`: HOST, HOST:PORT or unix:PATH. Returns at once and connects in the background;
 * calls wait for the connection.
 * @throws VarveError `REQUEST_INVALID`, `STORE_NAME_INVALID`
 */
export function connect(address: string, options: ConnectOptions = {}): State {
  return new State(parseAddress(address), parseOptions(options))
}

/** Every method rejects with a VarveError. Bytes passed in belong to the caller again when a method returns. */
export class State {
  readonly #settings: Settings
  readonly #points: PointPath
  readonly #control: ControlCalls
  #closed: Promise<void> | undefined

  /** Use `connect`. */
  constructor(address: string, settings: Settings) {
    this.#settings = settings
    this.#points = new PointPath(address, settings)
    this.#control = new ControlCalls(this.#points.seed, settings)
  }

  /** The value of the key; `undefined` when there is none. */
  get(key: Bytes, options?: PointOptions): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      checkCallOptions("get", options)
      const keyBytes = toKey(key)
      const call = new GetCall(this.#points.now(), this.#deadlineMs(options), options, resolve, reject)
      const bytes = recordBytes(keyBytes.length, 0)
      const given = options?.partition
      try {
        const topology = this.#points.admit(call, bytes)
        if (topology === undefined) {
          const copy = owned(key, keyBytes)
          this.#points.wait(call, bytes, (then) => this.#addRead(then, call, copy, bytes, given))
        } else this.#addRead(topology, call, keyBytes, bytes, given)
      } catch (error) {
        call.fail(error)
      }
    })
  }

  /**
   * Sets one key; an empty value deletes it. With `ifAbsent` or `ifValue` only if the key's present value is as
   * expected, otherwise it fails with CONDITION_FAILED.
   */
  set(key: Bytes, value: Bytes, options?: SetOptions): Promise<void> {
    return this.#set("set", key, value, options)
  }

  /** Deletes one key; one that is not there is no error. With `ifValue` only if its present value is that. */
  delete(key: Bytes, options?: DeleteOptions): Promise<void> {
    return this.#set("delete", key, EMPTY, options)
  }

  /** The values in the order of the keys, which may be of any partitions. */
  getMany(keys: readonly Bytes[], options?: PointOptions): Promise<(Buffer | undefined)[]> {
    return new Promise((resolve, reject) => {
      checkCallOptions("getMany", options)
      checkArray(keys, "the argument of getMany", "keys")
      const keyList = keys.map(toKey)
      const many = new ManyValues(keyList.length, resolve, reject)
      if (keyList.length === 0) return
      const call = new GetManyCall(this.#points.now(), this.#deadlineMs(options), options, many)
      const bytes = keyList.reduce((sum, key) => sum + recordBytes(key.length, 0), 0)
      const given = options?.partition
      try {
        const topology = this.#points.admit(call, bytes)
        if (topology === undefined) {
          const copies = keyList.map((key, index) => owned(keys[index]!, key))
          this.#points.wait(call, bytes, (then) => this.#addReads(then, call, copies, given))
        } else this.#addReads(topology, call, keyList, given)
      } catch (error) {
        call.fail(error)
      }
    })
  }

  /**
   * Writes records in order. The records of one partition are applied all or none; those of several partitions are
   * split, and each partition answers for itself: when one fails, others may have been applied. With
   * `atomic: true` records of several partitions are refused.
   *
   * With conditions (`expected`, and `ifAbsent` or `ifValue` of records), all keys must belong to one partition, and
   * nothing is applied unless each has the value expected of it before the call: CONDITION_FAILED. It is never sent
   * again: when its answer is lost, CONNECTION_LOST says that nobody knows whether it was applied.
   */
  write(records: readonly WriteRecord[], options?: WriteOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      checkCallOptions("write", options)
      toFlag(options?.atomic, "atomic")
      this.#write(PreparedWrite.of(records, options?.expected), options, resolve, reject)
    })
  }

  /**
   * All records, or those of a prefix or a range. Ordered by key within a partition on engines that order. Leaving
   * the loop ends the call. When the connection breaks it fails with CONNECTION_LOST: begin again.
   */
  async *scan(options: ScanOptions = {}): AsyncGenerator<StateRecord, void, void> {
    checkCallOptions("scan", options)
    const end = this.#control.endOf(options, this.#settings.longDeadlineMs)
    const request = {
      store: this.#settings.store,
      partition: options.partition === undefined ? undefined : toPartition(options.partition),
      prefix: toBytes(options.prefix ?? EMPTY, "prefix"),
      start: toBytes(options.start ?? EMPTY, "start"),
      end: toBytes(options.end ?? EMPTY, "end"),
      keysOnly: toFlag(options.keysOnly, "keysOnly"),
      limit: toLimit(options.limit ?? 0),
    }
    await this.#settled(end)
    for await (const { records } of this.#control.stream((channel) => channel.scan, request, end)) {
      for (const { key, value } of records) yield { key: Buffer.from(key), value: Buffer.from(value) }
    }
  }

  /**
   * Makes the present state a version; resolves when it is committed. It holds every write that was made before.
   * With `rollback: "fail"` it fails with STATE_REPLACED when the state is not the one that this client wrote to.
   */
  async snapshot(options: SnapshotOptions): Promise<SnapshotResult> {
    checkNeededOptions("snapshot", options)
    const end = this.#control.endOf(options, this.#settings.longDeadlineMs)
    const partitions = toPartitions(options.partitions)
    const version = toVersion(options.version)
    const metadata = Buffer.from(toBytes(options.metadata ?? EMPTY, "metadata"))
    await this.#settled(end)
    const lineages = this.#settings.rollback === "fail" ? this.#points.lineages.toMessage(partitions) : {}
    const request = { store: this.#settings.store, partitions, version, metadata, lineages }
    return plain(await this.#control.call((channel) => channel.snapshot, request, end))
  }

  /**
   * Puts a version back; resolves when it is served. With `rollback: "fail"` this client goes on from it: calls
   * made after this resolved no longer fail with STATE_REPLACED.
   */
  async restore(options: RestoreOptions = {}): Promise<RestoreResult> {
    checkCallOptions("restore", options)
    const end = this.#control.endOf(options, this.#settings.longDeadlineMs)
    const request = {
      store: this.#settings.store,
      partitions: toPartitions(options.partitions),
      version: options.version === undefined ? undefined : toVersion(options.version),
      timeline: toText(options.timeline, "timeline"),
      replaced: toText(options.replaced, "replaced"),
      fallback: toText(options.fallback, "fallback"),
      mode: toText(options.mode, "mode"),
    }
    await this.#settled(end)
    const response = await this.#control.call((channel) => channel.restore, request, end)
    if (this.#settings.rollback === "fail")
      this.#points.lineages.adopt(await this.#control.lineagesAfter(response, end))
    return plain(response)
  }

  /** The versions of the store on all timelines, oldest first. */
  async listSnapshots(
    options: CallOptions & { readonly partitions?: readonly number[] } = {},
  ): Promise<SnapshotSummary[]> {
    checkCallOptions("listSnapshots", options)
    const end = this.#control.endOf(options, this.#settings.deadlineMs)
    const request = { store: this.#settings.store, partitions: toPartitions(options.partitions) }
    return plain((await this.#control.read((channel) => channel.listSnapshots, request, end)).snapshots)
  }

  /** Removes a version from the list; its space is freed by garbage collection. */
  async deleteSnapshot(options: VersionOptions): Promise<void> {
    checkNeededOptions("deleteSnapshot", options)
    const end = this.#control.endOf(options, this.#settings.deadlineMs)
    await this.#control.call((channel) => channel.deleteSnapshot, this.#versionOf(options), end)
  }

  /** Protects a version from removal, or takes the protection off. */
  async pinSnapshot(options: PinOptions): Promise<void> {
    checkNeededOptions("pinSnapshot", options)
    const end = this.#control.endOf(options, this.#settings.deadlineMs)
    if (options.pinned === undefined)
      throw new VarveError("REQUEST_INVALID", "pinSnapshot needs pinned: true or false")
    const pinned = toFlag(options.pinned, "pinned")
    const request = { ...this.#versionOf(options), pinned, name: toText(options.name, "name") }
    await this.#control.call((channel) => channel.pinSnapshot, request, end)
  }

  /** The daemon and this store: partitions, addresses, parameters, statistics. */
  async describe(options?: CallOptions): Promise<Description> {
    checkCallOptions("describe", options)
    const end = this.#control.endOf(options, this.#settings.deadlineMs)
    return plain(
      await this.#control.read((channel) => channel.describe, { store: this.#settings.store }, end),
    )
  }

  /** Frees the connections. Calls that are pending, and later ones, fail with CLIENT_CLOSED. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const error = new VarveError(
      "CLIENT_CLOSED",
      "this client was closed; a write on its way may or may not have been applied",
    )
    this.#control.close(error)
    this.#points.close(error)
  }

  #deadlineMs(options: CallOptions | undefined): number {
    return deadlineOf(options, this.#settings.deadlineMs)
  }

  #settled(end: CallEnd): Promise<void> {
    return this.#points.settled(end)
  }

  #versionOf({ version, timeline }: VersionOptions): { store: string; version: bigint; timeline: string } {
    return {
      store: this.#settings.store,
      version: toVersion(version),
      timeline: toText(timeline, "timeline"),
    }
  }

  #addRead(
    topology: Topology,
    call: GetCall,
    key: Uint8Array,
    bytes: number,
    given: number | undefined,
  ): void {
    const frame = this.#points.frameFor(topology, topology.partitionOf(key, given), "reads", bytes, 1)
    frame.records.addKey(key)
    this.#points.added(frame, call, bytes)
  }

  #addReads(
    topology: Topology,
    first: GetManyCall,
    keys: readonly Uint8Array[],
    given: number | undefined,
  ): void {
    const partitions = keys.map((key) => topology.partitionOf(key, given))
    const shares = new Map<Frame, GetManyCall>()
    keys.forEach((key, index) => {
      const bytes = recordBytes(key.length, 0)
      const frame = this.#points.frameFor(topology, partitions[index]!, "reads", bytes, 1)
      let share = shares.get(frame)
      if (share === undefined) {
        share = shares.size === 0 ? first : first.sibling()
        shares.set(frame, share)
        this.#points.added(frame, share, 0)
      }
      share.addIndex(index)
      frame.records.addKey(key)
      this.#points.weigh(frame, bytes)
    })
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
    const frame = this.#points.frameFor(topology, topology.partitionOf(key, given), "writes", bytes, 1)
    frame.records.add(key, value)
    this.#points.added(frame, call, bytes)
  }

  #set(name: "set" | "delete", key: Bytes, value: Bytes, options: SetOptions | undefined): Promise<void> {
    if (isConditional(options)) {
      return new Promise((resolve, reject) => {
        checkCallOptions(name, options)
        const { ifAbsent, ifValue } = options ?? {}
        this.#write(PreparedWrite.of([{ key, value, ifAbsent, ifValue }]), options, resolve, reject)
      })
    }
    return new Promise((resolve, reject) => {
      checkCallOptions(name, options)
      const keyBytes = toKey(key)
      const valueBytes = toBytes(value, "value")
      const call = new WriteCall(this.#points.now(), this.#deadlineMs(options), options, resolve, reject)
      const bytes = recordBytes(keyBytes.length, valueBytes.length)
      const given = options?.partition
      try {
        const topology = this.#points.admit(call, bytes)
        if (topology === undefined) {
          const keyCopy = owned(key, keyBytes)
          const valueCopy = owned(value, valueBytes)
          this.#points.wait(call, bytes, (then) =>
            this.#addWrite(then, call, keyCopy, valueCopy, bytes, given),
          )
        } else this.#addWrite(topology, call, keyBytes, valueBytes, bytes, given)
      } catch (error) {
        call.fail(error)
      }
    })
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
    const deadlineMs = this.#deadlineMs(options)
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
        this.#points.wait(call, write.bytes, (then) => start(then, copy))
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
    const work = expected.length === 0 ? "writes" : "conditionalWrites"
    const frame = this.#points.frameFor(topology, partition, work, bytes, indexes.length)
    for (const index of indexes) frame.records.add(keys[index]!, values[index]!)
    for (const { key, value } of expected) frame.expected.add(key, value)
    this.#points.added(frame, call, bytes)
  }
}
