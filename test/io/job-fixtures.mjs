// Jobs for the executor suite. Plain JavaScript: a thread loads this file itself, without any loader.

import { isMainThread, threadId } from "node:worker_threads"
import { defineJob, EngineError } from "@varve/engines/internal"

const define = (name, run) => defineJob(import.meta.url, name, run)

export const whereAmI = define("whereAmI", async () => ({ isMainThread, threadId }))

export const sum = define("sum", async (_context, numbers) => numbers.reduce((a, b) => a + b, 0))

/** Adds one to each byte, in place, and gives the buffer back twice: whole, and as a view of its middle. */
export const increment = define("increment", async (_context, bytes) => {
  for (let at = 0; at < bytes.length; at++) bytes[at]++
  return { bytes, middle: bytes.subarray(1, 3), pooled: Buffer.from("pooled") }
})

const kept = new Uint8Array(8)
/** Changes what it was given after it has answered: shows up when memory is shared. */
export const meddle = define("meddle", async (_context, input) => {
  setTimeout(() => input.list.push("meddled"), 1)
  return { list: input.list, keptBytes: kept.length }
})

export const fail = define("fail", async (_context, kind) => {
  if (kind === "engine") {
    const cause = Object.assign(new Error("disk on fire"), { code: "EIO" })
    throw new EngineError("DATA_LOSS", "the run is damaged", { cause })
  }
  if (kind === "string") throw "just words"
  throw new TypeError("a bug")
})

export const die = define("die", async (_context, how) => {
  if (how === "exit") process.exit(3)
  await new Promise((resolve) => {
    setTimeout(() => {
      throw new Error("nobody awaits this")
    }, 1)
    setTimeout(resolve, 60_000)
  })
})

export const useContext = define("useContext", async (context, { url, directory }) => {
  const store = await context.objectStore(url)
  const isNew = await store.create("from/job", [context.random.bytes(4)])
  const isSameStore = (await context.objectStore(url)) === store
  await context.clock.sleep(1)
  return { isNew, isSameStore, names: await context.fileSystem.list(directory), nowMs: context.clock.nowMs() }
})

export const sleep = define("sleep", async (_context, ms) => {
  await new Promise((resolve) => setTimeout(resolve, ms))
  return ms
})

/** Reads the first byte of a file again and again until it cannot; says so in another file. */
export const readOn = define("readOn", async ({ fileSystem, clock }, { path, startedPath, endedPath }) => {
  const file = await fileSystem.open(path, "read")
  try {
    await (await fileSystem.open(startedPath, "create")).close()
    for (;;) {
      await file.read(new Uint8Array(1), 0)
      await clock.nextTurn()
    }
  } finally {
    await file.close()
    await (await fileSystem.open(endedPath, "create")).close()
  }
})

/** Exported under a name that is not its own. */
export const misnamed = define("anotherName", async () => 1)
