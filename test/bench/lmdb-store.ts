// lmdb under measurement. It writes in transactions of a slice, since one for each record would be far slower;
// reads of a mixed slice happen inside its transaction. Its cache is the system's page cache: it cannot be bounded.

import { open } from "lmdb"
import { KEYS_PER_GET_MANY } from "./engine-cases.ts"
import type { Store } from "./store.ts"
import { newKey, setKey } from "./workload.ts"

/** Address space, not memory: far above what ten million records take. */
const MAP_BYTES = 2 ** 36

/** Opens a database in `directory`. */
export function openLmdb(directory: string): Store {
  const database = open<Buffer, Buffer>({
    path: directory,
    keyEncoding: "binary",
    encoding: "binary",
    noSync: true,
    mapSize: MAP_BYTES,
  })
  const key = newKey()
  const manyKeys = Array.from({ length: KEYS_PER_GET_MANY }, newKey)
  return {
    async set(order, from, to, value) {
      database.transactionSync(() => {
        for (let i = from; i < to; i++) {
          setKey(key, order[i]!)
          database.putSync(key, value)
        }
      })
    },
    async get(order, from, to) {
      let found = 0
      for (let i = from; i < to; i++) {
        setKey(key, order[i]!)
        if (database.getBinary(key) !== undefined) found++
      }
      return found
    },
    async mixed(order, from, to, value) {
      return database.transactionSync(() => {
        let found = 0
        for (let i = from; i < to; i++) {
          setKey(key, order[i]!)
          if ((i & 1) === 1) database.putSync(key, value)
          else if (database.getBinary(key) !== undefined) found++
        }
        return found
      })
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
