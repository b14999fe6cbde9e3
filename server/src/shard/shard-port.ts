// What main and a shard say to each other over the worker's port. All of it survives structured cloning.
//
//   main                                    shard
//   call(id, name, argument)        ──►             opens partitions, listens, drains, closes, tells figures
//                                   ◄──     answer(id) or failure(id)
//   engines([{id, partition, …}])   ──►             snapshots, restores, versions: calls that main makes in one turn
//                                   ◄──     answer(id), with where the engine stands then  are made in one turn here
//                                   ◄──     ask(id, name, request)   an administrative call that came to this shard
//   told(id) or refused(id)         ──►
//   peer(index, port)               ──►             the way to another shard
//                                   ◄──     log(line), fenced
//
// Besides, they share a number that the shard counts up while its event loop turns (`control/hang-watch.ts`).

import type { MessagePort } from "node:worker_threads"
import type { Engine, EngineStatistics } from "@varve/engines"
import type { ListenAddress } from "../config/address.ts"
import type { Settings } from "../config/settings.ts"
import type { LogLine } from "../log.ts"
import type { Family } from "../metrics/families.ts"
import type { AdministrativeCall } from "./administrative-calls.ts"
import type { ErrorMessage } from "./error-message.ts"

/** Names a partition. */
export interface PartitionName {
  readonly store: string
  readonly partition: number
}

/** Where an engine stands: what changes only by the calls below, and whether it is fenced. */
export type EngineStanding = Pick<Engine, "recovery" | "owner" | "lineage" | "position" | "line"> & {
  readonly damaged: ReturnType<Engine["damagedVersions"]>
  readonly statistics: EngineStatistics
}

/** What a shard does for main: the argument and the answer of each call. */
export interface ShardCalls {
  /** Opens the engine of one of the shard's partitions. */
  openPartition: [PartitionName, EngineStanding]
  /** Takes calls of clients from now on. */
  serve: [ListenAddress, ListenAddress]
  /** Of all its partitions. */
  standings: [undefined, readonly (PartitionName & { readonly standing: EngineStanding })[]]
  /** What health checks answer from now on, as far as the daemon as a whole is concerned; calls are taken all the same. */
  setServing: [boolean, undefined]
  /** Ids of packs that turned out to be damaged. */
  distrust: [readonly string[], undefined]
  /** The figures of the thread's registry. */
  metrics: [undefined, readonly Family[]]
  /** Takes no more calls of clients and gives those that run a grace time. */
  drain: [{ readonly graceMs: number }, undefined]
  /** Closes every engine, which keeps everything; the thread ends then. */
  close: [undefined, undefined]
}

export type ShardCallName = keyof ShardCalls

/** Calls on one engine that main makes. */
export const engineCallNames = ["snapshot", "restore", "listVersions", "deleteVersion", "pinVersion"] as const
export type EngineCallName = (typeof engineCallNames)[number]

export interface EngineCall extends PartitionName {
  readonly id: number
  readonly name: EngineCallName
  readonly arguments: readonly unknown[]
}

/** What a shard is started with: the first message to its thread. The next ones wait until it is open. */
export interface ShardStart {
  readonly index: number
  /** With the shard's own part of what is set for the daemon. */
  readonly settings: Settings
  /** The shard adds to it every `BEAT_MS`, as long as its event loop turns. */
  readonly beat: Int32Array<SharedArrayBuffer>
}

/** Between two beats. */
export const BEAT_MS = 1000

export type MainMessage =
  | {
      readonly kind: "call"
      readonly id: number
      readonly name: ShardCallName
      readonly argument: ShardCalls[ShardCallName][0]
    }
  | { readonly kind: "engines"; readonly calls: readonly EngineCall[] }
  | { readonly kind: "told"; readonly id: number; readonly value: unknown }
  | { readonly kind: "refused"; readonly id: number; readonly error: ErrorMessage }
  /** `calls` takes this shard's calls there, `served` brings that shard's calls here. */
  | {
      readonly kind: "peer"
      readonly index: number
      readonly calls: MessagePort
      readonly served: MessagePort
    }

export type ShardMessage =
  /** It takes calls of main. */
  | { readonly kind: "open" }
  /** It could not start. */
  | { readonly kind: "failed"; readonly error: ErrorMessage }
  | { readonly kind: "log"; readonly line: LogLine }
  /** Another daemon has taken one of its partitions. */
  | { readonly kind: "fenced" }
  | {
      readonly kind: "answer"
      readonly id: number
      readonly value: unknown
      readonly standing?: EngineStanding | undefined
    }
  | {
      readonly kind: "failure"
      readonly id: number
      readonly error: ErrorMessage
      readonly standing?: EngineStanding | undefined
    }
  | {
      readonly kind: "ask"
      readonly id: number
      readonly name: AdministrativeCall
      readonly request: unknown
    }
