// One suite for all executors, then what only threads do.

import { execFileSync } from "node:child_process"
import { mkdir, readdir, writeFile } from "node:fs/promises"
import {
  type Executor,
  InlineExecutor,
  NodeFileSystem,
  SystemClock,
  SystemRandom,
  systemSeams,
  ThreadExecutor,
} from "@varve/engines/internal"
import { afterEach, describe, expect, test } from "vitest"
import { expectReason } from "./expect-error.ts"
import * as jobs from "./job-fixtures.mjs"
import { temporaryDirectory } from "./temporary-directory.ts"

const root = temporaryDirectory()
const opened: Executor[] = []
let directoryCount = 0

afterEach(async () => {
  for (const executor of opened.splice(0)) await executor.close()
})

function threadExecutor(threads: number): ThreadExecutor {
  const executor = new ThreadExecutor({ threads })
  opened.push(executor)
  return executor
}

function inlineExecutor(): InlineExecutor {
  const executor = new InlineExecutor({
    fileSystem: new NodeFileSystem(),
    clock: new SystemClock(),
    random: new SystemRandom(),
  })
  opened.push(executor)
  return executor
}

const executors: { name: string; make: () => Executor }[] = [
  { name: "InlineExecutor", make: inlineExecutor },
  { name: "ThreadExecutor", make: () => threadExecutor(2) },
]

for (const { name, make } of executors) {
  describe(name, () => {
    test("a job answers with its output", async () => {
      const executor = make()
      const sums = await Promise.all([1, 2, 3].map((n) => executor.run(jobs.sum, [n, n])))
      expect(sums).toEqual([2, 4, 6])
    })

    test("the input is fixed when the call returns", async () => {
      const executor = make()
      // More jobs than threads: the last ones are posted late.
      const inputs = Array.from({ length: 8 }, (_, index) => [index])
      const running = inputs.map((input) => executor.run(jobs.sum, input))
      for (const input of inputs) input.push(1000)
      expect(await Promise.all(running)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    })

    test("buffers named for transfer are lost to the caller; others are copied", async () => {
      const executor = make()
      const moved = Uint8Array.of(1, 2, 3, 4)
      const copied = Uint8Array.of(1, 2, 3, 4)
      const movedAnswer = executor.run(jobs.increment, moved, [moved.buffer])
      expect(moved.byteLength).toBe(0)
      expect((await movedAnswer).bytes).toEqual(Uint8Array.of(2, 3, 4, 5))
      const { bytes } = await executor.run(jobs.increment, copied)
      expect(bytes).toEqual(Uint8Array.of(2, 3, 4, 5))
      expect(copied).toEqual(Uint8Array.of(1, 2, 3, 4))
    })

    test("views of one buffer in the output are views of one buffer; pooled bytes come too", async () => {
      const { bytes, middle, pooled } = await make().run(jobs.increment, Uint8Array.of(1, 2, 3, 4))
      expect(middle.buffer).toBe(bytes.buffer)
      expect(middle).toEqual(Uint8Array.of(3, 4))
      expect(new TextDecoder().decode(pooled)).toBe("pooled")
    })

    test("a job shares no memory with its caller, before or after the answer", async () => {
      const executor = make()
      const input = { list: ["mine"] }
      const output = await executor.run(jobs.meddle, input)
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect([input.list, output.list]).toEqual([["mine"], ["mine"]])
    })

    test("an EngineError keeps its reason, message and cause", async () => {
      const error: unknown = await make()
        .run(jobs.fail, "engine")
        .catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({
        name: "EngineError",
        reason: "DATA_LOSS",
        kind: "corruption",
        message: "the run is damaged",
        cause: { message: "disk on fire", code: "EIO" },
      })
      await expectReason(Promise.reject(error), "DATA_LOSS")
    })

    test("other errors keep their name and message, and the executor goes on", async () => {
      const executor = make()
      await expect(executor.run(jobs.fail, "bug")).rejects.toMatchObject({
        name: "TypeError",
        message: "a bug",
      })
      expect(await executor.run(jobs.sum, [1])).toBe(1)
    })

    test("an input that cannot be cloned is refused", async () => {
      const executor = make()
      const input = [() => 1] as unknown as number[]
      await expect(executor.run(jobs.sum, input)).rejects.toMatchObject({ name: "DataCloneError" })
      expect(await executor.run(jobs.sum, [1])).toBe(1)
    })

    test("a job reaches disk, clock, chance and the object store of a URL", async () => {
      const directory = `${root}/${++directoryCount}`
      const output = await make().run(jobs.useContext, { url: `file:${directory}`, directory })
      expect(output).toMatchObject({ isNew: true, isSameStore: true, names: ["from", "~drafts"] })
      expect(Math.abs(output.nowMs - Date.now())).toBeLessThan(10_000)
    })

    test("a job that is told to stop fails at its next read, tidies up, and answers ENGINE_CLOSED", async () => {
      const directory = `${root}/${++directoryCount}`
      await mkdir(directory, { recursive: true })
      const [path, startedPath, endedPath] = ["file", "started", "ended"].map(
        (name) => `${directory}/${name}`,
      )
      await writeFile(path!, "x")
      const stopping = new AbortController()
      const executor = make()
      const input = { path: path!, startedPath: startedPath!, endedPath: endedPath! }
      const running = executor.run(jobs.readOn, input, [], stopping.signal)
      while (!(await readdir(directory)).includes("started")) await new Promise(setImmediate)
      stopping.abort()
      await expectReason(running, "ENGINE_CLOSED")
      expect(await readdir(directory)).toEqual(["ended", "file", "started"])
    })

    test("close waits for running jobs, those that wait for their turn included, and refuses new ones", async () => {
      const executor = make()
      const done: number[] = []
      for (const ms of [40, 41, 42, 43]) void executor.run(jobs.sleep, ms).then((slept) => done.push(slept))
      const closing = executor.close()
      await expectReason(executor.run(jobs.sum, [1]), "ENGINE_CLOSED")
      await closing
      expect(done.sort()).toEqual([40, 41, 42, 43])
      await executor.close()
    })
  })
}

describe("ThreadExecutor alone", () => {
  test("jobs run away from the caller's thread, in as many threads as allowed", async () => {
    const executor = threadExecutor(1)
    const [first, second] = await Promise.all([
      executor.run(jobs.whereAmI, null),
      executor.run(jobs.whereAmI, null),
    ])
    expect(first.isMainThread).toBe(false)
    expect(second).toEqual(first)
  })

  test("a thread that dies fails its job and no other, and the pool goes on", async () => {
    const executor = threadExecutor(1)
    for (const how of ["exit", "throw"] as const) {
      const dying = executor.run(jobs.die, how)
      const waiting = executor.run(jobs.sum, [1, 2])
      const message = await expectReason(dying, "STORAGE_FAILED")
      expect(message).toContain("job die")
      expect(message).toContain(how === "exit" ? "code: 3" : "nobody awaits this")
      expect(await waiting).toBe(3)
    }
  })

  test("a job that its module does not export under its name is refused", async () => {
    const executor = threadExecutor(1)
    await expect(executor.run(jobs.misnamed, null)).rejects.toThrow("no job named anotherName")
    await expect(executor.run({ ...jobs.sum, module: "file:///missing.mjs" }, [1])).rejects.toThrow(
      "missing.mjs",
    )
  })

  test("systemSeams run jobs in threads and free them", async () => {
    const seams = systemSeams({ threads: 1 })
    expect((await seams.executor.run(jobs.whereAmI, null)).isMainThread).toBe(false)
    await seams.close()
    await expectReason(seams.executor.run(jobs.sum, [1]), "ENGINE_CLOSED")
  })

  test("a process with idle threads, closed or not, ends by itself", () => {
    const fixtures = new URL("./job-fixtures.mjs", import.meta.url).href
    for (const ending of ["", "await executor.close()"]) {
      const program = `
        import { ThreadExecutor } from "@varve/engines/internal"
        import { sum } from ${JSON.stringify(fixtures)}
        const executor = new ThreadExecutor({ threads: 2 })
        ${ending === "" ? "executor.startThreads()" : ""}
        process.stdout.write(String(await executor.run(sum, [20, 22])))
        ${ending}`
      const options = { cwd: new URL("../..", import.meta.url), timeout: 20_000, encoding: "utf8" } as const
      expect(execFileSync(process.execPath, ["--input-type=module", "-e", program], options)).toBe("42")
    }
  })
})
