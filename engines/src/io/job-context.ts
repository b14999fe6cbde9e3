// What jobs reach, made from the seams of the thread they run in.

import type { JobContext } from "./executor.ts"
import type { ObjectStore } from "./object-store.ts"
import { openObjectStore, type StoreSeams } from "./object-store-url.ts"

/** A context that can close the object stores which jobs have opened. */
export interface OwnedJobContext extends JobContext {
  /** Closes them, and those that are opened later too. */
  close(): Promise<void>
}

/** A context over the given seams, which opens each object store once. */
export function makeJobContext(seams: StoreSeams): OwnedJobContext {
  const stores = new Map<string, Promise<ObjectStore>>()
  let isClosed = false
  return {
    fileSystem: seams.fileSystem,
    clock: seams.clock,
    random: seams.random,
    objectStore: (url) => {
      const known = stores.get(url)
      if (known !== undefined) return known
      const opened = openObjectStore(url, seams).then(async (store) => {
        if (isClosed) await store.close()
        return store
      })
      stores.set(url, opened)
      // One that could not be opened is tried again by the next job that asks for it.
      opened.catch(() => stores.delete(url))
      return opened
    },
    close: async () => {
      isClosed = true
      for (const opened of await Promise.allSettled(stores.values())) {
        if (opened.status === "fulfilled") await opened.value.close()
      }
    },
  }
}
