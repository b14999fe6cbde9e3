// An engine of Varve under measurement: one call an operation, from the thread that owns the engine.

import { join } from "node:path"
import { BlockCache, type Engine, type EngineName, openEngine } from "@varve/engines"
import { KEYS_PER_GET_MANY, type Memory } from "./engine-cases.ts"
import type { Store } from "./store.ts"
import { newKey, setKey } from "./workload.ts"

const MIB = 2 ** 20
/** The longest region or run that the settings allow, and the longest cache that a buffer holds. */
const REGION_BYTES_MAX = 1024 * MIB
const CACHE_BYTES_MAX = 4096 * MIB - MIB

/** Settings of each engine for `memory`; one that is not named runs with its defaults. */
const settingsOf: Readonly<Partial<Record<EngineName, (memory: Memory) => object>>> = {
  "append-log": ({ bufferBytes }) => ({ threshold: bufferBytes }),
  // Its memory is the mutable region and two read-only ones: together as much as the two buffers of the others.
  "hybrid-log": ({ kind, budgetBytes, bufferBytes }) => {
    const mutableBytes = kind === "all" ? budgetBytes : bufferBytes
    const readOnlyBytes =
      kind === "all" ? Math.max(16 * MIB, budgetBytes - REGION_BYTES_MAX) : bufferBytes / 2
    return {
      memSegmentLength: Math.min(MIB, Math.max(4096, readOnlyBytes / 8)),
      roLagInterval: Math.min(REGION_BYTES_MAX, mutableBytes),
      flushInterval: Math.min(REGION_BYTES_MAX, readOnlyBytes),
    }
  },
  "lsm-tree": ({ bufferBytes }) => ({ memtableBytesLimit: bufferBytes }),
}

/** Opens `name` in `directory` with as much memory as it may have. */
export async function openVarve(name: EngineName, directory: string, memory: Memory): Promise<Engine> {
  return await openEngine({
    engine: name,
    directory: join(directory, "state"),
    repository: `file:${join(directory, "repository")}`,
    settings: settingsOf[name]?.(memory),
    blockCache: new BlockCache(Math.min(CACHE_BYTES_MAX, memory.cacheBytes)),
  })
}

/** The loops over an open engine; closing the store closes it. */
export function varveStore(engine: Engine): Store {
  const key = newKey()
  const manyKeys = Array.from({ length: KEYS_PER_GET_MANY }, newKey)
  return {
    async set(order, from, to, value) {
      for (let i = from; i < to; i++) {
        setKey(key, order[i]!)
        const pending = engine.set(key, value)
        if (pending !== undefined) await pending
      }
    },
    async get(order, from, to) {
      let found = 0
      for (let i = from; i < to; i++) {
        setKey(key, order[i]!)
        const answer = engine.get(key)
        const value = answer instanceof Promise ? await answer : answer
        if (value !== undefined) found++
      }
      return found
    },
    async mixed(order, from, to, value) {
      let found = 0
      for (let i = from; i < to; i++) {
        setKey(key, order[i]!)
        if ((i & 1) === 0) {
          const answer = engine.get(key)
          if ((answer instanceof Promise ? await answer : answer) !== undefined) found++
        } else {
          const pending = engine.set(key, value)
          if (pending !== undefined) await pending
        }
      }
      return found
    },
    async getMany(order, from, to) {
      let found = 0
      for (let at = from; at < to; at += KEYS_PER_GET_MANY) {
        for (let k = 0; k < KEYS_PER_GET_MANY; k++) setKey(manyKeys[k]!, order[at + k]!)
        const answer = engine.getMany(manyKeys)
        const values = answer instanceof Promise ? await answer : answer
        for (let k = 0; k < KEYS_PER_GET_MANY; k++) if (values[k] !== undefined) found++
      }
      return found
    },
    indexBytes: () => engine.statistics().indexBytes,
    fileBytesWritten() {
      const { bytesFlushed, bytesMerged } = engine.statistics()
      return bytesFlushed + bytesMerged
    },
    close: () => engine.close(),
  }
}
