// A job that is told to stop reaches no object store any more.

import { expect, test } from "vitest"
import type { JobContext } from "./executor.ts"
import type { ObjectStore } from "./object-store.ts"
import { stoppableContext } from "./stoppable-context.ts"

test("requests to an object store go through until the job is told to stop, then they are refused", async () => {
  const asked: string[] = []
  const store = {
    url: "file:/repository",
    get: async () => void asked.push("get"),
    create: async () => asked.push("create") > 0,
    list: async () => (asked.push("list") > 0 ? [] : []),
    remove: async () => void asked.push("remove"),
    close: async () => void asked.push("close"),
  } as unknown as ObjectStore
  let isStopped = false
  const context = { objectStore: async () => store } as unknown as JobContext
  const stoppable = await stoppableContext(context, () => isStopped).objectStore("file:/repository")
  const requests = [
    () => stoppable.get("a"),
    () => stoppable.create("a", []),
    () => stoppable.list("a"),
    () => stoppable.remove("a"),
  ]
  for (const request of requests) await request()
  isStopped = true
  for (const request of requests) await expect(request()).rejects.toMatchObject({ reason: "ENGINE_CLOSED" })
  await stoppable.close()
  expect([stoppable.url, ...asked]).toEqual(["file:/repository", "get", "create", "list", "remove", "close"])
})
