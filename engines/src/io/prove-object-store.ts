// Whether a store keeps what several writers rely on: an object is created once, and what was created or removed is
// seen by the next request. Where a store ignores the condition, two writers would each take the other's version for
// their own; where a listing misses a version, a new owner would leave it out for good. So the store is asked, each
// time that a repository is opened for writing. A store can pass and fail later: this finds stores that
// do not know the condition, not races inside them.

import { EngineError } from "../base/error.ts"
import type { ObjectStore } from "./object-store.ts"
import type { Random } from "./random.ts"

/** Objects below it live for a moment, unless a process is killed then; whoever finds one may remove it. */
export const PROBES_PREFIX = "probes/"

const PROBE_BYTES = 16

/** @throws (rejects) EngineError `REPOSITORY_FAILED`, saying what the store does not keep */
export async function proveObjectStore(store: ObjectStore, random: Random): Promise<void> {
  const probe = random.bytes(PROBE_BYTES)
  const key = PROBES_PREFIX + Buffer.from(probe).toString("hex")
  try {
    if (!(await store.create(key, [probe])))
      throw refusal(store, "refuses to create an object that is not there")
    if (await store.create(key, [random.bytes(PROBE_BYTES)])) {
      throw refusal(
        store,
        "overwrites objects that are to be created once: it ignores If-None-Match. Use another store, or, when " +
          "only one process at a time ever writes there, add writers=one to the URL",
      )
    }
    const found = await store.get(key)
    if (found === undefined || Buffer.compare(found, probe) !== 0) {
      throw refusal(store, "does not give back the bytes of an object that was just created")
    }
    if (!(await isListed(store, key))) {
      throw refusal(store, "does not list an object that was just created: versions would be missed")
    }
  } finally {
    await store.remove(key)
  }
  if ((await store.get(key)) !== undefined || (await isListed(store, key))) {
    throw refusal(
      store,
      "still shows an object that was just removed: an owner would not see that it is replaced",
    )
  }
}

async function isListed(store: ObjectStore, key: string): Promise<boolean> {
  return (await store.list(key)).some((object) => object.key === key)
}

function refusal(store: ObjectStore, what: string): EngineError {
  return new EngineError("REPOSITORY_FAILED", `repository ${store.url} cannot be used: the store ${what}`)
}
