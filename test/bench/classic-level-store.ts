// LevelDB under measurement, through classic-level. It writes in batches of a slice; the reads of a mixed slice
// see the batches before it.

import { ClassicLevel } from "classic-level"
import { KEYS_PER_GET_MANY, type Memory } from "./engine-cases.ts"
import type { Store } from "./store.ts"
import { newKey, setKey } from "./workload.ts"

/** Opens a database in `directory`. */
export async function openClassicLevel(directory: string, memory: Memory): Promise<Store> {
  const database = new ClassicLevel<Buffer, Buffer>(directory, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
    compression: false,
    cacheSize: memory.cacheBytes,
    writeBufferSize: memory.bufferBytes,
  })
  await database.open()
  const key = newKey()
  const manyKeys = Array.from({ length: KEYS_PER_GET_MANY }, newKey)
  return {
    async set(order, from, to, value) {
      const batch = database.batch()
      for (let i = from; i < to; i++) {
        setKey(key, order[i]!)
        batch.put(key, value)
      }
      await batch.write()
    },
    async get(order, from, to) {
      let found = 0
      for (let i = from; i < to; i++) {
        setKey(key, order[i]!)
        if (database.getSync(key) !== undefined) found++
      }
      return found
    },
    async mixed(order, from, to, value) {
      let found = 0
      const batch = database.batch()
      for (let i = from; i < to; i++) {
        setKey(key, order[i]!)
        if ((i & 1) === 1) batch.put(key, value)
        else if (database.getSync(key) !== undefined) found++
      }
      await batch.write()
      return found
    },
    async getMany(order, from, to) {
      let found = 0
      for (let at = from; at < to; at += KEYS_PER_GET_MANY) {
        for (let k = 0; k < KEYS_PER_GET_MANY; k++) setKey(manyKeys[k]!, order[at + k]!)
        const values = await database.getMany(manyKeys)
        for (const value of values) if (value !== undefined) found++
      }
      return found
    },
    indexBytes: () => undefined,
    fileBytesWritten: () => undefined,
    close: () => database.close(),
  }
}
