// The child of the `engines` suite: one embedded store, filled with all keys, then random sets and gets from one
// thread. Nobody syncs: what is measured is the same promise for all, state that the next snapshot makes durable.

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openEngine } from "@varve/engines"
import { ClassicLevel } from "classic-level"
import { open } from "lmdb"
import { type ChildWork, serveContender } from "./child-contender.ts"
import { newKey, roundValue, seededRandom, setKey } from "./workload.ts"

/** A store under measurement: writes of `count` records and reads of as many, keys chosen by `next`. */
interface Store {
  write(count: number, next: (i: number) => number, value: Buffer): Promise<void>
  /** Resolves how many keys had a value. */
  read(count: number, next: (i: number) => number): Promise<number>
  close(): Promise<void>
}

/** Writes of one transaction, where a store has no cheap single write. */
const BATCH = 1000

async function openVarve(directory: string, cacheBytes: number): Promise<Store> {
  const engine = await openEngine({
    engine: "hybrid-log",
    directory: join(directory, "state"),
    repository: `file:${join(directory, "repository")}`,
    settings: { roLagInterval: cacheBytes },
  })
  const key = newKey()
  return {
    async write(count, next, value) {
      for (let i = 0; i < count; i++) {
        setKey(key, next(i))
        const pending = engine.set(key, value)
        if (pending !== undefined) await pending
      }
    },
    async read(count, next) {
      let found = 0
      for (let i = 0; i < count; i++) {
        setKey(key, next(i))
        const answer = engine.get(key)
        const value = answer instanceof Promise ? await answer : answer
        if (value !== undefined) found++
      }
      return found
    },
    close: () => engine.close(),
  }
}

async function openLmdb(directory: string): Promise<Store> {
  const database = open<Buffer, Buffer>({
    path: directory,
    keyEncoding: "binary",
    encoding: "binary",
    noSync: true,
    mapSize: 2 ** 31,
  })
  const key = newKey()
  return {
    async write(count, next, value) {
      for (let start = 0; start < count; start += BATCH) {
        database.transactionSync(() => {
          for (let i = start; i < Math.min(count, start + BATCH); i++) {
            setKey(key, next(i))
            database.putSync(key, value)
          }
        })
      }
    },
    async read(count, next) {
      let found = 0
      for (let i = 0; i < count; i++) {
        setKey(key, next(i))
        if (database.getBinary(key) !== undefined) found++
      }
      return found
    },
    close: () => database.close(),
  }
}

async function openClassicLevel(directory: string, cacheBytes: number): Promise<Store> {
  const database = new ClassicLevel<Buffer, Buffer>(directory, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
    compression: false,
    cacheSize: cacheBytes,
    writeBufferSize: 64 * 1024 * 1024,
  })
  await database.open()
  const key = newKey()
  return {
    async write(count, next, value) {
      for (let start = 0; start < count; start += BATCH) {
        const batch = database.batch()
        for (let i = start; i < Math.min(count, start + BATCH); i++) {
          setKey(key, next(i))
          batch.put(key, value)
        }
        await batch.write()
      }
    },
    async read(count, next) {
      let found = 0
      for (let i = 0; i < count; i++) {
        setKey(key, next(i))
        if (database.getSync(key) !== undefined) found++
      }
      return found
    },
    close: () => database.close(),
  }
}

const openers = { varve: openVarve, lmdb: openLmdb, "classic-level": openClassicLevel } as const

/** The work of one child: operations per second of random sets and gets over `keys` keys. */
function engineWork(name: keyof typeof openers, keys: number, cacheBytes: number): ChildWork {
  const directory = mkdtempSync(join(tmpdir(), `varve-bench-${name}-`))
  let store: Store | undefined
  return {
    async prepare() {
      store = await openers[name](directory, cacheBytes)
      await store.write(keys, (i) => i, roundValue(0))
    },
    async measure(measurement, round) {
      const random = seededRandom(round)
      const next = (): number => random(keys)
      const started = performance.now()
      if (measurement === "set") await store!.write(keys, next, roundValue(round))
      const found = measurement === "get" ? await store!.read(keys, next) : keys
      const seconds = (performance.now() - started) / 1000
      if (found !== keys) throw new Error(`${keys - found} of ${keys} keys were not found`)
      return keys / seconds
    },
    async close() {
      await store?.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

const [name, keys, cacheBytes] = process.argv.slice(2)
serveContender(engineWork(name as keyof typeof openers, Number(keys), Number(cacheBytes)))
