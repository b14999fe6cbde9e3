// The command line against a real daemon: what it prints, where, and its exit code. As a process where that makes a
// difference, otherwise in this one.

import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { startDaemon, type TestDaemon } from "../server/daemon.ts"
import { type Outcome, runVarve, runVarveHere, startVarve } from "./run-varve.ts"

let daemon: TestDaemon
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-cli-"))
  const config = join(directory, "varve.yaml")
  const stores = {
    default: { engine: "hybrid-log", partitions: 4 },
    sorted: { engine: "memory", partitions: 1 },
    explicit: { engine: "memory", partitions: 2, partitioning: "explicit" },
    versions: { engine: "hybrid-log", partitions: 2 },
  }
  await writeFile(config, JSON.stringify({ stores }))
  daemon = await startDaemon({ flags: ["--config", config] })
})

afterAll(async () => {
  await daemon?.stop()
  await rm(directory, { recursive: true, force: true })
})

/** Runs a command against the daemon. */
function varve(words: readonly string[], stdin?: Uint8Array | string): Promise<Outcome> {
  return runVarveHere([...words, "--address", daemon.grpc], stdin)
}

/** The same, expecting success; the text that it printed. */
async function output(words: readonly string[], stdin?: Uint8Array | string): Promise<string> {
  const { code, stdout, stderr } = await varve(words, stdin)
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  return stdout.toString()
}

async function json(words: readonly string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await output([...words, "--json"])) as Record<string, unknown>
}

describe("cli: as a process", () => {
  test("bytes go in by stdin and come out by stdout, all of them and nothing else", async () => {
    const value = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 256))
    const set = await runVarve(["set", "binary", "-", "--address", daemon.grpc], value)
    expect(set).toEqual({ code: 0, stdout: Buffer.alloc(0), stderr: "" })
    const { code, stdout } = await runVarve(["get", "binary", "--address", daemon.grpc])
    expect(code).toBe(0)
    expect(stdout.equals(value)).toBe(true)
  })

  test.each([
    [["get", "nobody"], 1, ""],
    [["frobnicate"], 2, "unknown command"],
    [["serve", "--engine", "abacus"], 2, "abacus"],
    [["set", "a", "1", "--store", "explicit"], 3, "PARTITION_REQUIRED"],
    [["delete", "nobody", "--if-value", "1"], 7, "the condition does not hold"],
  ])("%j ends with code %i", async (words, expected, message) => {
    const where = expected === 2 ? [] : ["--address", daemon.grpc]
    const { code, stdout, stderr } = await runVarve([...words, ...where])
    expect(code).toBe(expected)
    expect(stderr + stdout).toContain(message)
  })
})

describe("cli: records", () => {
  test("set and get: the value comes back as it is, without a newline", async () => {
    expect(await output(["set", "user:1", "Ada"])).toBe("")
    expect(await output(["get", "user:1"])).toBe("Ada")
  })

  test("--hex: keys and values as hex digits", async () => {
    await output(["set", "00ff", "cafe", "--hex"])
    expect(await output(["get", "00ff", "--hex"])).toBe("cafe")
    expect(await json(["get", "00ff", "--hex"])).toEqual({ found: true, value: { hex: "cafe" } })
  })

  test("get of a key that is not there: code 1, nothing on stdout, {found:false} with --json", async () => {
    const { code, stdout } = await varve(["get", "nobody"])
    expect([code, stdout.length]).toEqual([1, 0])
    const asked = await varve(["get", "nobody", "--json"])
    expect([asked.code, asked.stdout.toString()]).toEqual([1, '{"found":false}\n'])
  })

  test("set and delete under a condition: code 7 when it does not hold, and nothing was written", async () => {
    await output(["set", "guarded", "1", "--if-absent"])
    const refused = await varve(["set", "guarded", "2", "--if-absent"])
    expect(refused.code).toBe(7)
    expect(refused.stderr).toContain("the condition does not hold: the key is present")
    expect((await varve(["set", "guarded", "2", "--if-value", "0"])).code).toBe(7)
    expect((await varve(["delete", "guarded", "--if-value", "0"])).code).toBe(7)
    expect(await output(["get", "guarded"])).toBe("1")
    await output(["set", "guarded", "2", "--if-value", "1"])
    await output(["set", "67756172646564", "33", "--if-value", "32", "--hex"])
    expect(await output(["get", "guarded"])).toBe("3")
    await output(["delete", "guarded", "--if-value", "3"])
    expect((await varve(["get", "guarded"])).code).toBe(1)
    expect((await varve(["set", "guarded", "1", "--if-absent", "--if-value", "0"])).code).toBe(2)
    expect((await varve(["set", "00", "00", "--if-value", "0", "--hex"])).code).toBe(2)
  })

  test("delete: the key is gone; once more is no error", async () => {
    await output(["set", "short-lived", "x"])
    await output(["delete", "short-lived"])
    expect((await varve(["get", "short-lived"])).code).toBe(1)
    await output(["delete", "short-lived"])
  })

  test("a store with explicit partitions: --partition is needed, and keys are apart", async () => {
    const { code, stderr } = await varve(["set", "a", "1", "--store", "explicit"])
    expect(code).toBe(3)
    expect(stderr).toContain("PARTITION_REQUIRED")
    await output(["set", "a", "1", "--store", "explicit", "--partition", "1"])
    expect(await output(["get", "a", "--store", "explicit", "--partition", "1"])).toBe("1")
    expect((await varve(["get", "a", "--store", "explicit", "--partition", "0"])).code).toBe(1)
  })
})

describe("cli: scan", () => {
  beforeAll(async () => {
    for (const key of ["b:2", "a:1", "b:1", "c\tx"])
      await output(["set", key, `v-${key}`, "--store", "sorted"])
  })

  test("one record a line, what does not show escaped", async () => {
    expect(await output(["scan", "--store", "sorted"])).toBe(
      "a:1\tv-a:1\nb:1\tv-b:1\nb:2\tv-b:2\nc\\x09x\tv-c\\x09x\n",
    )
  })

  test("--prefix, --start, --end, --limit, --keys-only", async () => {
    const scan = (...words: string[]): Promise<string> =>
      output(["scan", "--store", "sorted", "--keys-only", ...words])
    expect(await scan("--prefix", "b:")).toBe("b:1\nb:2\n")
    expect(await scan("--start", "b:1", "--end", "b:2")).toBe("b:1\n")
    expect(await scan("--limit", "1")).toBe("a:1\n")
    expect(await scan("--prefix", "nothing")).toBe("")
  })

  test("--json: one document a line", async () => {
    const lines = (await output(["scan", "--store", "sorted", "--json", "--prefix", "a"]))
      .trimEnd()
      .split("\n")
    expect(lines.map((line) => JSON.parse(line))).toEqual([{ partition: 0, key: "a:1", value: "v-a:1" }])
  })
})

describe("cli: versions", () => {
  const store = ["--store", "versions"]
  const forked = ["--store", "sorted"]
  interface Named {
    readonly version: number
    readonly timeline: string
  }

  test("snapshot, list, restore, pin and delete", async () => {
    await output(["set", "k", "one", ...store])
    expect(await json(["snapshot", "--metadata", "offset 1", ...store])).toMatchObject({
      version: 1,
      complete: true,
    })
    await output(["set", "k", "two", ...store])
    for (const words of [["snapshot"], ["snapshot", "5"]]) {
      const { code, stderr } = await varve([...words, ...store])
      expect(code).toBe(3)
      expect(stderr).toMatch(
        /^varve: REQUEST_INVALID: version 1 of timeline \S+ carries metadata: a worker takes .* --metadata ''/,
      )
    }
    expect(await json(["snapshot", "5", "--metadata", "", ...store])).toMatchObject({ version: 5 })
    expect(await json(["snapshot", ...store])).toMatchObject({ version: 6 }) // the newest one has none now
    expect(await output(["snapshots", "delete", "6", ...store])).toMatch(
      /^deleted version 6 of timeline \S+\n$/,
    )

    const restored = await output(["restore", "1", ...store])
    expect(restored).toContain("restored version 1 ")
    expect(restored).toContain("metadata: offset 1\n")
    expect(await output(["get", "k", ...store])).toBe("one")

    const handle = /--replaced (\S+)/.exec(restored)?.[1]
    expect(restored).toContain(
      `undo with: varve restore --replaced ${handle} --store versions --address ${daemon.grpc}\n`,
    )
    const back = await output(["restore", "--replaced", handle!, ...store])
    expect(back).toMatch(/^the state that was replaced is back/)
    expect(back).not.toContain("metadata")
    expect(await output(["get", "k", ...store])).toBe("two")

    const listed = (await json(["snapshots", "list", ...store])) as unknown as {
      version: number
      pinned: boolean
    }[]
    expect(listed.map(({ version }) => version)).toEqual([1, 5])
    const listing = await output(["snapshots", "list", ...store])
    expect(listing).toMatch(/│ 5 +│/)
    expect(listing).toMatch(/│ metadata +│ remarks +│/)
    expect(listing).toMatch(/│ offset 1 +│/)

    expect(await output(["snapshots", "pin", "1", ...store])).toMatch(/^pinned version 1 of timeline \S+\n$/)
    await output(["snapshots", "pin", "1", "--name", "nightly", ...store])
    const refused = await varve(["snapshots", "delete", "1", ...store])
    expect(refused.code).toBe(3)
    expect(refused.stderr).toMatch(/SNAPSHOT_PINNED.*\n .*unpin VERSION --name NAME.*, without --name all\n$/)
    const unpin = (...words: string[]): Promise<string> =>
      output(["snapshots", "unpin", "1", ...words, ...store])
    expect(await unpin("--name", "weekly")).toContain("there was no such pin on version 1 of timeline")
    expect(await unpin()).toContain("took off all pins, nightly among them, of version 1 of timeline")
    await output(["snapshots", "delete", "1", ...store])
    const gone = await varve(["restore", "1", ...store])
    expect(gone.code).toBe(1)
    expect(gone.stderr).toContain("SNAPSHOT_NOT_FOUND")
  })

  test("a number that stands on several timelines names no version to delete or pin", async () => {
    for (const words of [["1"], ["2"], ["3"]]) await output(["snapshot", ...words, ...forked])
    await output(["restore", "1", ...forked])
    await output(["snapshot", "2", ...forked])
    const timelines = async (): Promise<string[]> => {
      const listed = (await json(["snapshots", "list", ...forked])) as unknown as Named[]
      return listed.flatMap(({ version, timeline }) => (version === 2 ? [timeline] : []))
    }
    const [first, second] = (await timelines()) as [string, string]
    for (const command of ["delete", "pin", "unpin"]) {
      const { code, stderr } = await varve(["snapshots", command, "2", ...forked])
      expect([command, code]).toEqual([command, 3])
      expect(stderr).toContain(
        `VERSION_AMBIGUOUS: version 2 stands on several timelines: name one of ${first}, ${second}`,
      )
      expect(stderr).toContain("--timeline")
    }
    expect(await timelines()).toEqual([first, second])
    expect(await output(["snapshots", "delete", "2", "--timeline", first, ...forked])).toBe(
      `deleted version 2 of timeline ${first}\n`,
    )
    const again = await varve(["snapshots", "delete", "2", "--timeline", first, ...forked])
    expect([again.code, await timelines()]).toEqual([1, [second]])
    expect(await json(["snapshots", "delete", "2", ...forked])).toEqual({ version: 2, timeline: second })
  })
})

describe("cli: describe and bench", () => {
  test("describe names every store; with --store only that one", async () => {
    const { stores } = (await json(["describe"])) as { stores: { name: string; partitionCount: number }[] }
    expect(stores.map(({ name }) => name)).toEqual(["default", "explicit", "sorted", "versions"])
    const one = (await json(["describe", "--store", "sorted"])) as { stores: { name: string }[] }
    expect(one.stores.map(({ name }) => name)).toEqual(["sorted"])
    const text = await output(["describe"])
    expect(text).toContain("store explicit: memory")
    expect(text).toContain("values up to 4.0 MiB")
    expect(text).toMatch(/│ start +│/)
  })

  test("bench counts what it did and leaves no key behind", async () => {
    const sizes = ["--requests", "2000", "--batch", "50", "--keys", "300", "--clients", "2"]
    for (const store of ["default", "explicit"]) {
      const report = (await json(["bench", ...sizes, "--store", store])) as {
        operationsPerSecond: number
        reads: { records: number; milliseconds: { p50: number; max: number } }
        writes: { records: number }
      }
      expect(report.reads.records + report.writes.records).toBe(2000)
      expect(report.operationsPerSecond).toBeGreaterThan(0)
      expect(report.reads.milliseconds.max).toBeGreaterThanOrEqual(report.reads.milliseconds.p50)
      expect(await output(["scan", "--store", store, "--prefix", "varve-bench:"])).toBe("")
    }
  })
})

describe("cli: an interrupted bench", () => {
  test("Ctrl-C ends the load: code 130, and no key is left", async () => {
    const bench = startVarve(["bench", "--keys", "2000", "--requests", "100000000", "--address", daemon.grpc])
    try {
      await vi.waitFor(
        async () => expect(await output(["scan", "--prefix", "varve-bench:", "--limit", "1"])).not.toBe(""),
        { timeout: 30_000, interval: 20 },
      )
      bench.child.kill("SIGINT")
      const { code, stdout, stderr } = await bench.outcome
      expect([code, stdout.toString()]).toEqual([130, ""])
      expect(stderr).toBe("varve: interrupted: the load was stopped and its keys are deleted\n")
      expect(await output(["scan", "--prefix", "varve-bench:", "--limit", "1"])).toBe("")
    } finally {
      bench.child.kill("SIGKILL")
    }
  })
})

describe("cli: what goes wrong", () => {
  test("what is too large or too small: the limit, and what to do", async () => {
    const stdin = Buffer.alloc(20_000_000, 97)
    const large = await runVarveHere(["set", "k", "-", "--address", daemon.grpc], stdin)
    expect(large.code).toBe(3)
    expect(large.stderr).toMatch(
      /MESSAGE_TOO_LARGE: the request has 200000\d\d bytes; at most \d+ are taken \(setting limits\.messageBytesMax\)\n {2}`varve describe`/,
    )
    for (const [key, reason, what] of [
      ["k".repeat(65_536), "KEY_TOO_LARGE", "take a shorter key"],
      ["", "KEY_EMPTY", "give a key of at least one byte"],
    ] as const) {
      const { code, stderr } = await varve(["set", key, "v"])
      expect(code).toBe(3)
      expect(stderr).toMatch(new RegExp(`${reason}: .*\n {2}${what}`))
    }
  })

  test("an unknown store: code 1, the reason and the known ones on stderr", async () => {
    const { code, stdout, stderr } = await varve(["get", "a", "--store", "nowhere"])
    expect([code, stdout.length]).toEqual([1, 0])
    expect(stderr).toContain("STORE_UNKNOWN")
    expect(stderr).toContain("default")
  })

  test("a version that does not ascend: code 3", async () => {
    await output(["snapshot", "7", "--store", "explicit"])
    const { code, stderr } = await varve(["snapshot", "7", "--store", "explicit"])
    expect(code).toBe(3)
    expect(stderr).toContain("VERSION_NOT_ASCENDING")
    expect(stderr).toMatch(/\n {2}take a higher number, or leave it out/)
  })

  test("the HTTP port is told from the gRPC port", async () => {
    const { code, stderr } = await runVarveHere(["get", "a", "--address", new URL(daemon.http).host])
    expect(code).toBe(4)
    expect(stderr).toContain("this is not the gRPC port")
  })
})
