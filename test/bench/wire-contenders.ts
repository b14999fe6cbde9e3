// The child of the `wire` suite: many callers, each with one call on its way and a promise for it, through
// @varve/client or ioredis.

import { connect } from "@varve/client"
import { Redis } from "ioredis"
import { type ChildWork, serveParent } from "./child-contender.ts"
import { seededRandom } from "./random.ts"
import { newKey, roundValue, setKey } from "./workload.ts"

interface Calls {
  set(key: Buffer, value: Buffer): Promise<unknown>
  get(key: Buffer): Promise<Buffer | null | undefined>
  close(): Promise<unknown>
}

function varveCalls(address: string): Calls {
  return connect(address)
}

function redisCalls(address: string): Calls {
  const [host, port] = address.split(":")
  const redis = new Redis({ host: host!, port: Number(port), enableAutoPipelining: true })
  return {
    set: (key, value) => redis.set(key, value),
    get: (key) => redis.getBuffer(key),
    close: () => redis.quit(),
  }
}

/** The work of one child: operations per second of `callers` loops over `keys` keys. */
function wireWork(calls: Calls, sizes: { keys: number; operations: number; callers: number }): ChildWork {
  const { keys, operations, callers } = sizes

  async function run(count: number, one: (i: number) => Promise<unknown>): Promise<number> {
    let next = 0
    const started = performance.now()
    const loops = Array.from({ length: callers }, async () => {
      for (let i = next++; i < count; i = next++) await one(i)
    })
    await Promise.all(loops)
    return count / ((performance.now() - started) / 1000)
  }
  // A call may keep its key until it is answered: each gets one of its own.
  const keyOf = (i: number): Buffer => {
    const key = newKey()
    setKey(key, i)
    return key
  }

  return {
    async prepare() {
      const value = roundValue(0)
      await run(keys, (i) => calls.set(keyOf(i), value))
    },
    async measure(measurement, round) {
      const random = seededRandom(round)
      const value = roundValue(round)
      if (measurement === "set") return await run(operations, () => calls.set(keyOf(random(keys)), value))
      return await run(operations, async () => {
        const found = await calls.get(keyOf(random(keys)))
        if (found?.length !== value.length) throw new Error("a key was not found")
      })
    },
    async close() {
      await calls.close()
    },
  }
}

const [name, address, ...sizes] = process.argv.slice(2)
const [keys, operations, callers] = sizes.map(Number)
serveParent(
  wireWork(name === "varve" ? varveCalls(address!) : redisCalls(address!), {
    keys: keys!,
    operations: operations!,
    callers: callers!,
  }),
)
