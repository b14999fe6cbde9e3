// The administrative calls: what gRPC and HTTP both offer, in the messages of the contract.

import { EngineError, type RestoreMode, restoreModes } from "@varve/engines"
import { checkPinName } from "@varve/engines/internal"
import { errorTable, isReason, VarveError } from "@varve/proto"
import { errorFields, type Log, type LogFields } from "../log.ts"
import type { VersionMetrics } from "../metrics/version-metrics.ts"
import type { AdministrativeWork, RequestOf, ResponseOf } from "../shard/administrative-calls.ts"
import type { Stores } from "../shard/stores.ts"
import { describe, type Node } from "./describe.ts"
import { describeVersion } from "./describe-version.ts"
import { logConverted } from "./log-converted.ts"
import { MetadataRoom } from "./metadata-room.ts"
import { decodeReplacedHandle, encodeReplacedHandle } from "./replaced-handle.ts"
import type { RestoreDrills } from "./restore-drills.ts"
import type { SpaceKeeper } from "./space-keeper.ts"
import type { Store, StoreRestoreTarget } from "./store.ts"

export class Administration implements AdministrativeWork {
  readonly #stores: Stores<Store>
  readonly #node: Node
  readonly #log: Log
  readonly #metrics: VersionMetrics
  readonly #space: SpaceKeeper
  readonly #drills: RestoreDrills

  constructor(
    stores: Stores<Store>,
    node: Node,
    log: Log,
    metrics: VersionMetrics,
    space: SpaceKeeper,
    drills: RestoreDrills,
  ) {
    this.#space = space
    this.#drills = drills
    this.#stores = stores
    this.#node = node
    this.#log = log
    this.#metrics = metrics
  }

  /** @throws VarveError `STORE_UNKNOWN` */
  describe({ store }: RequestOf<"describe">): ResponseOf<"describe"> {
    return describe(this.#node, store === "" ? this.#stores.all : [this.#stores.get(store)])
  }

  /** Resolves when the version is committed on every partition asked. */
  async snapshot(request: RequestOf<"snapshot">): Promise<ResponseOf<"snapshot">> {
    const store = this.#stores.get(request.store)
    const { name } = store.settings
    const version = versionNumber(request.version)
    try {
      const lineages = new Map(
        Object.entries(request.lineages).map(([index, lineage]) => [Number(index), lineage]),
      )
      const { partitions, metadata } = request
      const result = await this.#drills.giveWay(() => store.snapshot(partitions, version, metadata, lineages))
      this.#metrics.snapshotDone(name, result)
      this.#log.info("snapshot", `store ${name} committed version ${version}`, {
        store: name,
        version,
        timeline: result.timeline,
        partitions: result.partitions,
        complete: result.complete,
        bytesNew: result.bytesNew,
        sealSeconds: result.sealSeconds,
        totalSeconds: result.totalSeconds,
      })
      return {
        version: BigInt(result.version),
        timeline: result.timeline,
        bytesNew: BigInt(result.bytesNew),
        bytesReused: BigInt(result.bytesReused),
        chunksNew: BigInt(result.chunksNew),
        chunksReused: BigInt(result.chunksReused),
        sealSeconds: result.sealSeconds,
        totalSeconds: result.totalSeconds,
        partitions: [...result.partitions],
        complete: result.complete,
      }
    } catch (error) {
      if (isCallersMistake(error)) this.#metrics.snapshotRefused(name)
      else this.#metrics.snapshotFailed(name)
      logFailure(
        this.#log,
        "snapshot",
        `store ${name}: no version ${version}`,
        { store: name, version },
        error,
      )
      throw error
    }
  }

  /** Resolves when the state is served. */
  async restore(request: RequestOf<"restore">): Promise<ResponseOf<"restore">> {
    const store = this.#stores.get(request.store)
    const { name } = store.settings
    try {
      const result = await store.restore(request.partitions, restoreTargetOf(request), restoreModeOf(request))
      this.#metrics.restoreDone(name, result)
      const { converted } = result
      if (converted !== undefined) logConverted(store, { ...result, converted }, this.#log)
      for (const { version, timeline, why } of result.skipped) {
        this.#log.error(
          "restore-skipped",
          `store ${name}: version ${version} is damaged, an older one was restored`,
          {
            store: name,
            version,
            timeline,
            why,
          },
        )
      }
      this.#log.info(
        "restore",
        result.version === 0
          ? `store ${name}: a replaced state was put back; timeline ${result.timeline}`
          : `store ${name} restored version ${result.version} of timeline ${result.timeline}`,
        {
          store: name,
          version: result.version,
          timeline: result.timeline,
          partitions: result.partitions,
          totalSeconds: result.totalSeconds,
        },
      )
      return {
        version: BigInt(result.version),
        timeline: result.timeline,
        metadata: result.metadata,
        replaced: encodeReplacedHandle(result.replaced),
        partitions: [...result.partitions],
        totalSeconds: result.totalSeconds,
        lineages: Object.fromEntries(result.lineages),
        skipped: result.skipped.map((each) => ({ ...each, version: BigInt(each.version) })),
        converted: converted !== undefined,
      }
    } catch (error) {
      if (isCallersMistake(error)) this.#metrics.restoreRefused(name)
      else this.#metrics.restoreFailed(name)
      logFailure(this.#log, "restore", `store ${name}: nothing was restored`, { store: name }, error)
      throw error
    }
  }

  async listSnapshots(request: RequestOf<"listSnapshots">): Promise<ResponseOf<"listSnapshots">> {
    const store = this.#stores.get(request.store)
    const asked = store.select(request.partitions).map(({ index }) => index)
    const { versions, partitions } = await store.listVersions()
    const listed =
      request.partitions.length === 0
        ? versions
        : versions.filter(({ parts }) =>
            asked.every((index) => parts.some(({ partition }) => partition === index)),
          )
    const room = new MetadataRoom(this.#node.messageBytesMax)
    // The newest versions get the room.
    const newestFirst = listed.toReversed().map((version) => describeVersion(version, partitions, room))
    return { snapshots: newestFirst.reverse() }
  }

  async deleteSnapshot(request: RequestOf<"deleteSnapshot">): Promise<ResponseOf<"deleteSnapshot">> {
    const store = this.#stores.get(request.store)
    const version = versionNumber(request.version)
    await store.deleteVersion(version, optionalText(request.timeline))
    this.#log.info("snapshot-deleted", `store ${store.settings.name}: version ${version} is gone`, {
      store: store.settings.name,
      version,
    })
    return {}
  }

  async pinSnapshot(request: RequestOf<"pinSnapshot">): Promise<ResponseOf<"pinSnapshot">> {
    const store = this.#stores.get(request.store)
    checkPin(request.name)
    await store.pinVersion(
      versionNumber(request.version),
      optionalText(request.timeline),
      request.pinned,
      optionalText(request.name),
    )
    return {}
  }

  pruneSnapshots(request: RequestOf<"pruneSnapshots">): Promise<ResponseOf<"pruneSnapshots">> {
    return this.#space.pruneSnapshots(request)
  }

  collectGarbage(request: RequestOf<"collectGarbage">): Promise<ResponseOf<"collectGarbage">> {
    return this.#space.collectGarbage(request)
  }

  whyKept(request: RequestOf<"whyKept">): Promise<ResponseOf<"whyKept">> {
    return this.#space.whyKept(request)
  }

  /** Resolves when the newest version is proven, or damage is found. */
  async drillStore({ store }: RequestOf<"drillStore">): Promise<ResponseOf<"drillStore">> {
    const drilled = this.#stores.get(store)
    await this.#drills.drill(drilled)
    return { drill: this.#node.drillOf(drilled.settings.name) }
  }
}

/** What the caller did wrong is worth a line, and no more; what failed here comes with its causes. */
function logFailure(
  log: Log,
  event: "snapshot" | "restore",
  what: string,
  fields: LogFields,
  error: unknown,
): void {
  if (isCallersMistake(error)) {
    const { message, reason } = error
    log.info(`${event}-refused`, `${what}: ${message}`, { ...fields, reason })
  } else log.warn(`${event}-failed`, what, { ...fields, ...errorFields(error) })
}

function isCallersMistake(error: unknown): error is EngineError | VarveError {
  if (!(error instanceof EngineError || error instanceof VarveError) || !isReason(error.reason)) return false
  if (error.reason === "FORMAT_NEWER") return false // A conflict with what is on disk.
  const { httpStatus } = errorTable[error.reason]
  return CALLERS_HTTP_STATUSES.includes(httpStatus)
}

/** Of errors that are invalid, missing or conflicts (`errorTable`). */
const CALLERS_HTTP_STATUSES: readonly number[] = [400, 404, 409]

function restoreModeOf({ mode }: RequestOf<"restore">): RestoreMode | undefined {
  if (mode === "") return undefined
  const known = restoreModes.find((each) => each === mode)
  if (known !== undefined) return known
  throw new VarveError(
    "REQUEST_INVALID",
    `the mode is ${JSON.stringify(mode)}; it is ${restoreModes.join(" or ")}`,
  )
}

function restoreTargetOf({
  version,
  timeline,
  replaced,
  fallback,
}: RequestOf<"restore">): StoreRestoreTarget {
  if (fallback !== "" && (fallback !== "previous" || replaced !== "" || version !== undefined)) {
    throw new VarveError(
      "REQUEST_INVALID",
      'a fallback is "previous", and goes with neither a version nor a handle: it is for the newest version',
    )
  }
  if (replaced !== "") {
    if (version !== undefined || timeline !== "") {
      throw new VarveError(
        "REQUEST_INVALID",
        "give either a version or the handle of a replaced state, not both",
      )
    }
    return { replaced: decodeReplacedHandle(replaced) }
  }
  if (version !== undefined) return { version: versionNumber(version), timeline: optionalText(timeline) }
  if (timeline !== "") throw new VarveError("REQUEST_INVALID", "a timeline is given without a version")
  return fallback === "" ? { newest: true } : { newest: true, fallback: "previous" }
}

function versionNumber(version: bigint): number {
  if (version >= 1n && version <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(version)
  throw new EngineError("VERSION_INVALID", `version ${version} is not a number from 1 to 2^53 - 1`)
}

/** @throws VarveError `REQUEST_INVALID` */
function checkPin(name: string): void {
  try {
    checkPinName(name)
  } catch (error) {
    throw new VarveError("REQUEST_INVALID", (error as EngineError).message)
  }
}

function optionalText(text: string): string | undefined {
  return text === "" ? undefined : text
}
