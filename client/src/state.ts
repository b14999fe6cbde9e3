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

import { VarveError } from "@varve/proto"
import { parseAddress } from "./address.ts"
import { type Bytes, EMPTY, toBytes } from "./bytes.ts"
import { toLimit, toPartition, toPartitions, toVersion } from "./call-arguments.ts"
import { checkCallOptions, checkNeededOptions, toFlag, toText } from "./check-options.ts"
import { type CallEnd, ControlCalls } from "./control-calls.ts"
import {
  type CallOptions,
  type ConnectOptions,
  type DeleteOptions,
  type PointOptions,
  parseOptions,
  type SetOptions,
  type Settings,
  type WriteOptions,
} from "./options.ts"
import { plain } from "./plain.ts"
import { PointOperations } from "./point-operations.ts"
import { PointPath } from "./point-path.ts"
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
import type { StateStatistics } from "./statistics.ts"

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
  readonly #operations: PointOperations
  readonly #control: ControlCalls
  #closed: Promise<void> | undefined

  /** Use `connect`. */
  constructor(address: string, settings: Settings) {
    this.#settings = settings
    this.#points = new PointPath(address, settings)
    this.#operations = new PointOperations(this.#points, settings)
    this.#control = new ControlCalls(() => this.#points.anyConnection, settings)
  }

  /** The value of the key; `undefined` when there is none. */
  get(key: Bytes, options?: PointOptions): Promise<Buffer | undefined> {
    return this.#operations.get(key, options)
  }

  /**
   * Sets one key; an empty value deletes it. With `ifAbsent` or `ifValue` only if the key's present value is as
   * expected, otherwise it fails with CONDITION_FAILED.
   */
  set(key: Bytes, value: Bytes, options?: SetOptions): Promise<void> {
    return this.#operations.set("set", key, value, options)
  }

  /** Deletes one key; one that is not there is no error. With `ifValue` only if its present value is that. */
  delete(key: Bytes, options?: DeleteOptions): Promise<void> {
    return this.#operations.set("delete", key, EMPTY, options)
  }

  /** The values in the order of the keys, which may be of any partitions. */
  getMany(keys: readonly Bytes[], options?: PointOptions): Promise<(Buffer | undefined)[]> {
    return this.#operations.getMany(keys, options)
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
    return this.#operations.write(records, options)
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
    let { limit } = request
    for (const { partition, connection } of this.#points.waysTo(request.partition)) {
      const part = { ...request, partition, limit }
      for await (const { records } of this.#control.stream(
        (channel) => channel.scan,
        part,
        end,
        connection,
      )) {
        for (const { key, value } of records) yield { key: Buffer.from(key), value: Buffer.from(value) }
        if (limit > 0n) limit -= BigInt(records.length)
      }
      if (request.limit > 0n && limit === 0n) return
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

  /** What this client has done and what is on its way, as plain numbers. */
  statistics(): StateStatistics {
    return this.#points.statistics
  }

  /** Frees the connections. Calls that are pending, and later ones, fail with CLIENT_CLOSED. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const onTheirWay = new VarveError(
      "CLIENT_CLOSED",
      "this client was closed; a write on its way may or may not have been applied",
    )
    const notSent = new VarveError("CLIENT_CLOSED", "this client is closed; the call was not sent")
    this.#control.close(onTheirWay, notSent)
    this.#points.close(onTheirWay, notSent)
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
}
