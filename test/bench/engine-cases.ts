// What the `engines` suite measures: workloads, and how much memory a contender may use for them.

import type { Distribution } from "./distributions.ts"
import { RECORD_BYTES } from "./workload.ts"

export type Action = "set" | "get" | "mixed" | "getMany"

export interface Workload {
  readonly name: string
  readonly action: Action
  readonly distribution: Distribution
}

/** Keys of one `getMany`. */
export const KEYS_PER_GET_MANY = 256

export const workloads = [
  { name: "set", action: "set", distribution: "uniform" },
  { name: "get", action: "get", distribution: "uniform" },
  { name: "mixed", action: "mixed", distribution: "uniform" },
  { name: "getMany", action: "getMany", distribution: "uniform" },
  { name: "set-zipf", action: "set", distribution: "zipf" },
  { name: "get-zipf", action: "get", distribution: "zipf" },
  { name: "mixed-zipf", action: "mixed", distribution: "zipf" },
  { name: "getMany-zipf", action: "getMany", distribution: "zipf" },
] as const satisfies readonly Workload[]

/** How much memory a contender gets, in bytes; plain data, handed to its process. */
export interface Memory {
  /** "all": everything fits; "bounded": buffers and cache together hold `budgetBytes`. */
  readonly kind: "all" | "bounded"
  readonly budgetBytes: number
  /** Of what was written last: a memtable, a mutable region. Those who fill one while another is written get two. */
  readonly bufferBytes: number
  /** Of what lies on disk. */
  readonly cacheBytes: number
}

export interface EngineCase {
  readonly keys: number
  readonly memory: Memory
}

const MIB = 2 ** 20
/** A record with its lengths, padding and what a store may add. */
const SLOT_BYTES = 160
/** RocksDB's own default: what somebody gets who has the memory and does not ask. */
const BUFFER_BYTES = 64 * MIB

/** How many times its live records a store has on disk until overwritten ones are merged away. */
const OVERWRITTEN_MAX = 4

/** Everything fits, overwritten records included: what a read asks for lies in the same blocks. */
function allMemory(keys: number): Memory {
  const bytes = Math.max(64 * MIB, keys * SLOT_BYTES)
  return { kind: "all", budgetBytes: bytes, bufferBytes: BUFFER_BYTES, cacheBytes: OVERWRITTEN_MAX * bytes }
}

/** Two buffers of a quarter each, half for the cache. */
function boundedMemory(budgetBytes: number): Memory {
  return { kind: "bounded", budgetBytes, bufferBytes: budgetBytes / 4, cacheBytes: budgetBytes / 2 }
}

/** For each number of keys: all in memory and, when the records are more than `budgetBytes`, within that budget. */
export function engineCases(keyCounts: readonly number[], budgetBytes: number): EngineCase[] {
  return keyCounts.flatMap((keys) => {
    const all = { keys, memory: allMemory(keys) }
    const beyond = keys * RECORD_BYTES > budgetBytes
    return beyond ? [all, { keys, memory: boundedMemory(budgetBytes) }] : [all]
  })
}
