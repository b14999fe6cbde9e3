// An object store whose requests are counted and timed.

import type { Clock } from "./clock.ts"
import type { ObjectStore } from "./object-store.ts"
import type { RequestFigures, RequestOperation } from "./request-figures.ts"

/** `store`, with every request in `figures`. */
export function measuredObjectStore(
  store: ObjectStore,
  figures: RequestFigures,
  clock: Pick<Clock, "monotonicMs">,
): ObjectStore {
  const measure = async <Result>(
    operation: RequestOperation,
    request: () => Promise<Result>,
    bytesOf: (result: Result) => number = () => 0,
  ): Promise<Result> => {
    const startedMs = clock.monotonicMs()
    try {
      const result = await request()
      figures.ended(operation, clock.monotonicMs() - startedMs, bytesOf(result))
      return result
    } catch (error) {
      figures.failed(operation, clock.monotonicMs() - startedMs)
      throw error
    }
  }
  return {
    url: store.url,
    get: (key, range) =>
      measure(
        "get",
        () => store.get(key, range),
        (bytes) => bytes?.length ?? 0,
      ),
    create: (key, parts) =>
      measure(
        "create",
        () => store.create(key, parts),
        (isCreated) => (isCreated ? parts.reduce((sum, part) => sum + part.length, 0) : 0),
      ),
    list: (prefix) => measure("list", () => store.list(prefix)),
    remove: (key) => measure("remove", () => store.remove(key)),
    close: () => store.close(),
  }
}
