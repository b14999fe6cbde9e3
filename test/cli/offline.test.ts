// Commands that read a repository without a daemon: what they print is what the versions hold, and one byte that is
// wrong in any object is found and named.

import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { type Engine, type EngineName, openEngine, Repository } from "@varve/engines"
import { openObjectStore, systemSeams } from "@varve/engines/internal"
import { partitionOfKey } from "@varve/proto"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { runVarveHere } from "./run-varve.ts"

const PARTITIONS = 2
const RECORDS = 300
const RUN_BYTES = 4096

let directory: string
let repository: string[]
/** The timelines of the store `default`: that of versions 1 to 3, and the other version 3. */
const timelines = ["main", "other"] as const

/** One store of two partitions in the repository: its engines, as a daemon has them. */
class TestStore {
  readonly #engines: readonly Engine[]
  readonly #close: () => Promise<void>

  private constructor(engines: readonly Engine[], close: () => Promise<void>) {
    this.#engines = engines
    this.#close = close
  }

  static async open(store: string, engine: EngineName): Promise<TestStore> {
    const seams = systemSeams({ threads: 1 })
    const objectStore = await openObjectStore(`file:${directory}/repository`, seams)
    const opened = await Repository.open(objectStore, seams)
    const engines: Engine[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const place = { store, partition, partitionCount: PARTITIONS, engine }
      const settings = engine === "lsm-tree" ? { memtableBytesLimit: RUN_BYTES, maxRunsPerLevel: 64 } : {}
      const path = `${directory}/${store}-${partition}`
      const each = await openEngine({ ...place, directory: path, repository: opened, settings, seams })
      // Partitions of a store are on one timeline.
      await each.restore({ empty: true, newTimeline: timelines[0] })
      engines.push(each)
    }
    return new TestStore(engines, async () => {
      for (const each of engines) await each.close()
      await opened.close()
      await objectStore.close()
      await seams.close()
    })
  }

  async set(key: string, value: string): Promise<void> {
    const bytes = Buffer.from(key)
    await this.#engines[partitionOfKey(bytes, PARTITIONS)]!.set(bytes, Buffer.from(value))
  }

  async snapshot(version: number): Promise<void> {
    const metadata = Buffer.from(`offset ${version}`)
    for (const engine of this.#engines) await engine.snapshot({ version, metadata })
  }

  async restore(version: number, newTimeline: string): Promise<void> {
    for (const engine of this.#engines) await engine.restore({ version, newTimeline })
  }

  close(): Promise<void> {
    return this.#close()
  }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-offline-"))
  repository = ["--repository", `file:${directory}/repository`]
  const store = await TestStore.open("default", "hybrid-log")
  for (let i = 0; i < RECORDS; i++) await store.set(`user:${i}`, `first ${i}`)
  await store.snapshot(1)
  await store.set("user:7", "second 7")
  await store.set("user:8", "")
  await store.set("new", "comer")
  await store.snapshot(2)
  await store.set("user:7", "third 7")
  await store.snapshot(3)
  await store.restore(2, timelines[1])
  await store.set("user:7", "third of the other line")
  await store.snapshot(3)
  await store.close()
  const sorted = await TestStore.open("sorted", "lsm-tree")
  for (let i = 0; i < RECORDS; i++) await sorted.set(`item:${i}`, `${i} `.repeat(40))
  await sorted.snapshot(1)
  await sorted.close()
})

afterAll(() => rm(directory, { recursive: true, force: true }))

async function run(words: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  const { code, stdout, stderr } = await runVarveHere(["snapshots", ...words, ...repository])
  return { code, out: stdout.toString(), err: stderr }
}

async function output(words: readonly string[]): Promise<string> {
  const { code, out, err } = await run(words)
  expect({ code, err }).toEqual({ code: 0, err: "" })
  return out
}

async function jsonLines(words: readonly string[]): Promise<Record<string, unknown>[]> {
  const lines = (await output([...words, "--json"])).trimEnd().split("\n")
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe("cli: a repository without a daemon", () => {
  test("list and show", async () => {
    const [listed] = (await jsonLines(["list"])) as unknown as [Record<string, unknown>[]]
    const names = listed.map((each) => [
      each["timeline"],
      each["version"],
      each["complete"],
      each["currentLine"],
    ])
    const [first, other] = timelines
    expect(names).toEqual([
      [first, 1, true, true],
      [first, 2, true, true],
      [first, 3, true, false],
      [other, 3, true, true],
    ])
    expect(await output(["list"])).toMatch(/│ offset 1 +│/)
    const shown = await output(["show", "2"])
    expect(shown).toContain(`version 2 of timeline ${first}, store default: hybrid-log`)
    expect(shown).toContain('metadata "offset 2"')
    expect(shown).toMatch(/│ L0\.\d+\.\d+ +│ [0-9a-f]{16} +│/)
    const [{ parts }] = (await jsonLines(["show", `${first}/1`])) as unknown as [
      { parts: { runs: { chunks: number; sharedWith: string[] }[] }[] },
    ]
    expect(parts).toHaveLength(PARTITIONS)
    expect(parts.flatMap(({ runs }) => runs.map(({ chunks }) => chunks)).every((count) => count > 0)).toBe(
      true,
    )
    expect(parts[0]!.runs[0]!.sharedWith).toEqual(["2", "3", "other/3"])
  })

  test("get and scan", async () => {
    expect(await output(["get", "1", "user:7"])).toBe("first 7")
    expect(await output(["get", "3", "user:7"])).toBe("third of the other line")
    expect(await output(["get", `${timelines[0]}/3`, "user:7"])).toBe("third 7")
    expect(await jsonLines(["get", "2", "new"])).toEqual([{ found: true, value: "comer" }])
    expect((await run(["get", "2", "user:8"])).code).toBe(1)
    const lines = (await output(["scan", "2"])).trimEnd().split("\n").sort()
    const wanted = Array.from(
      { length: RECORDS },
      (_, i) => `user:${i}\t${i === 7 ? "second 7" : `first ${i}`}`,
    )
    expect(lines).toEqual([...wanted.filter((line) => !line.startsWith("user:8\t")), "new\tcomer"].sort())
    const some = await output(["scan", "1", "--prefix", "user:29", "--keys-only"])
    expect(some.trimEnd().split("\n").sort()).toEqual(
      ["user:29", ...Array.from({ length: 10 }, (_, i) => `user:29${i}`)].sort(),
    )
    expect((await output(["scan", "1", "--limit", "5"])).trimEnd().split("\n")).toHaveLength(5)
  })

  test("diff and history", async () => {
    const text = await output(["diff", "1", "2"])
    expect(text.split("\n").slice(0, 3).sort()).toEqual([
      "+ new\tcomer",
      "- user:8\tfirst 8",
      "~ user:7\tfirst 7 → second 7",
    ])
    expect(text).toContain("keys: 1 added, 1 removed, 1 changed\n")
    expect(text).toMatch(
      /^shared: 2 runs, \d+ chunks, .*; only in 1: 0 chunks, 0 B; only in 2: \d+ chunks, /m,
    )
    const changes = await jsonLines(["diff", `${timelines[0]}/3`, "other/3"])
    expect(changes[0]).toMatchObject({ key: "user:7", before: "third 7", after: "third of the other line" })
    expect(changes[1]).toMatchObject({ added: 0, removed: 0, changed: 1 })

    const history = await jsonLines(["history", "user:7"])
    const values = history.map(({ version, timeline, change, value }) => [version, timeline, change, value])
    const [first, other] = timelines
    expect(values).toEqual([
      [1, first, "set", "first 7"],
      [2, first, "changed", "second 7"],
      [3, other, "changed", "third of the other line"],
    ])
    expect(await output(["history", "user:8", `${first}/3`])).toMatch(/│ deleted │/)
    expect(await output(["history", "user:9"])).toMatch(/│ same +│ first 9 +│/)
  })

  test.each([
    [["get", "9", "a"], 1, "SNAPSHOT_NOT_FOUND"],
    [["show", "99"], 1, "`varve snapshots list --repository URL` shows"],
    [["get", "x/y", "a"], 2, "is no version"],
    [["show", "1", "--store", "nowhere"], 1, "there are versions of default, sorted"],
    [["get", "1", "a", "--partition", "2"], 2, "has partitions 0 to 1"],
    [["list", "--address", "127.0.0.1:1"], 2, "not both"],
  ])("%j ends with code %i", async (words, code, message) => {
    const result = await run(words)
    expect(result.code).toBe(code)
    expect(result.err).toContain(message)
  })

  test.each([
    [["gc", "--grace", "0"], 2, /--grace 0: 12h or more; with --exclusive/],
    [["gc", "why", "zz"], 2, /"zz" names no chunk and no pack: 8 to 64 hex digits/],
    [["gc", "--dry-run", "--repository", "file:nowhere"], 2, /no repository at file:/],
    [["gc", "why", "0".repeat(32)], 0, /begins so, nor anything of a pack with this id\. /],
    [["gc", "why", "01234567"], 0, /nothing needs 01234567: .* `varve snapshots show`/],
  ])("%j ends with code %i and says what to give", async (words, code, message) => {
    const result = await runVarveHere(words.includes("--repository") ? words : [...words, ...repository])
    expect(result.code).toBe(code)
    expect(result.stdout.toString() + result.stderr).toMatch(message)
  })

  test("gc why of a pack: the versions that need it, and that the pack itself was not read", async () => {
    const files = await readdir(join(directory, "repository", "packs"), { recursive: true })
    const pack = basename(files.find((file) => file.endsWith(".pack"))!, ".pack")
    const { code, stdout } = await runVarveHere(["gc", "why", pack, ...repository])
    expect(code).toBe(0)
    expect(stdout.toString()).toMatch(/│ store .*│ by runs/)
    expect(stdout.toString()).toMatch(/\nthe pack itself was not read: `varve snapshots verify` proves .*\n$/)
  })

  test("what is no repository stays none", async () => {
    const empty = await mkdtemp(join(tmpdir(), "varve-offline-"))
    const { code, stderr } = await runVarveHere(["snapshots", "verify", "--repository", `file:${empty}`])
    expect([code, stderr]).toEqual([2, expect.stringContaining("there is no repository")])
    expect(await readdir(empty)).toEqual([])
    await rm(empty, { recursive: true })
    const missing = await runVarveHere(["snapshots", "verify"])
    expect([missing.code, missing.stderr]).toEqual([
      2,
      expect.stringMatching(/--repository is missing.*VARVE_REPOSITORY/),
    ])
  })

  test("verify finds nothing in what is whole, and one wrong byte in any object", async () => {
    for (const store of ["default", "sorted"]) {
      const text = await output(["verify", "--store", store])
      expect(text).toMatch(/^nothing is damaged: \d+ versions of partitions with \d+ runs/)
    }
    const root = join(directory, "repository")
    const paths = (await readdir(root, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile() && !entry.parentPath.includes("~"))
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    const kinds = [".pack", ".manifest", ".claim", ".inheritance", "repository.json"]
    for (const kind of kinds) expect(paths.some((path) => path.endsWith(kind))).toBe(true)
    for (const path of paths) {
      const whole = await readFile(join(root, path))
      // In a pack: a chunk at the start, the recipe behind it, and the entries.
      const places = path.endsWith(".pack") ? [5, whole.length - 60] : [Math.floor(whole.length / 2)]
      for (const place of places) {
        await writeFile(join(root, path), whole)
        await flip(join(root, path), place)
        const results = [await run(["verify"]), await run(["verify", "--store", "sorted"])]
        const found = results.find(({ out, err }) => (out + err).includes(path))
        expect(found?.code, `byte ${place} of ${path}\n${results.map(({ out, err }) => out + err)}`).toBe(5)
      }
      await writeFile(join(root, path), whole)
    }
    const other = `${timelines[1]}/3`
    expect((await jsonLines(["verify", "1", other]))[0]).toMatchObject({
      ...{ versions: 2 * PARTITIONS, damage: [], damaged: [], incomplete: [] },
      whole: [`${timelines[0]}/1`, other],
    })
  })

  test("verify says which versions are whole: those of which every partition is", async () => {
    const packs = join(directory, "repository/packs/records")
    const known = new Set<string>()
    const added = async (): Promise<string[]> => {
      const names = (await readdir(packs)).filter((name) => !known.has(name))
      for (const name of names) known.add(name)
      return names
    }
    await added()
    const parts = await TestStore.open("parts", "memory")
    for (let version = 1; version <= 4; version++) {
      // All of it is new in each of them.
      for (let i = 0; i < 20; i++) await parts.set(`${i}`, `${version} `.repeat(100))
      await parts.snapshot(version)
      const [first] = await added()
      if (version === 2) await flip(join(packs, first!), 5)
    }
    await parts.close()
    const root = join(directory, "repository/stores/parts")
    const manifests = (await readdir(root, { recursive: true })).filter((path) => path.endsWith(".manifest"))
    const manifestOf = (partition: number, version: number): string =>
      join(
        root,
        manifests.find((path) => path.startsWith(`${partition}/`) && path.includes(`00${version}-`))!,
      )
    await flip(manifestOf(1, 3), 40)
    await rm(manifestOf(0, 4))

    const [first] = timelines
    const { code, out } = await run(["verify", "--store", "parts"])
    expect(out.trimEnd().split("\n").slice(-4)).toEqual([
      expect.stringMatching(`^damaged: ${first}/2, in partition [01]$`),
      `damaged: ${first}/3, in partition 1`,
      `incomplete: ${first}/4, which not every partition has`,
      `whole: 1 of 4 versions, the newest of them ${first}/1`,
    ])
    expect(code).toBe(5)
    const one = await run(["verify", `${first}/2`, "1", "--store", "parts", "--json"])
    expect([one.code, JSON.parse(one.out)]).toEqual([
      5,
      expect.objectContaining({
        whole: [`${first}/1`],
        damaged: [{ version: `${first}/2`, partitions: [expect.any(Number)] }],
      }),
    ])
  })

  test("verify names every damaged pack of a run, not the first alone", async () => {
    const packs = join(directory, "repository/packs/records")
    const known = new Set(await readdir(packs))
    const dumps = await TestStore.open("dumps", "memory")
    for (let i = 0; i < 3000; i++) await dumps.set(`${i}`, `${i} `.repeat(20))
    await dumps.snapshot(1)
    // Behind all others: what stays is found again in the pack before.
    for (let i = 3000; i < 3200; i++) await dumps.set(`${i}`, `${i} `.repeat(20))
    await dumps.snapshot(2)
    await dumps.close()
    const added = (await readdir(packs)).filter((name) => !known.has(name))
    expect(added).toHaveLength(2 * PARTITIONS)
    for (const name of added) await flip(join(packs, name), 5)
    const { code, out } = await run(["verify", "2", "--store", "dumps"])
    for (const name of added) expect(out).toContain(name)
    expect(code).toBe(5)
  })
})

/** Makes one byte of a file wrong. */
async function flip(path: string, place: number): Promise<void> {
  const broken = await readFile(path)
  broken[place]! ^= 0x10
  await writeFile(path, broken)
}
