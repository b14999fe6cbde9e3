// `npm run bench` as a process, on very little: every workload of every engine comes out of it, bad options are
// refused, and nothing is left behind. What the figures are does not matter here.

import { deepStrictEqual, ok, strictEqual, throws } from "node:assert"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { engineNames } from "@varve/engines"
import { afterAll, beforeAll, test } from "vitest"
import { workloads } from "./engine-cases.ts"
import type { EngineFigures, TargetFigure } from "./engine-figures.ts"
import { parseEngineOptions } from "./engine-options.ts"
import type { ImageFigures } from "./images.ts"
import type { SnapshotCaseFigures } from "./snapshot-figures.ts"
import { parseSnapshotOptions } from "./snapshot-options.ts"
import type { WireFigures } from "./wire-figures.ts"

const program = fileURLToPath(new URL("./main.ts", import.meta.url))
/** The benchmark's own temporary directory: what is in it afterwards was left behind. */
let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "varve-bench-test-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function start(words: readonly string[]) {
  const environment = { ...process.env, TMPDIR: directory }
  const child = spawn(process.execPath, ["--import", "tsx", program, ...words], { env: environment })
  let errors = ""
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    errors += part
  })
  child.stdout.resume()
  return { child, closed: once(child, "close"), errors: () => errors }
}

function leftBehind(): string[] {
  return readdirSync(directory).filter((name) => name.startsWith("varve-bench-"))
}

test("bench: the JSON has every workload of every engine", async () => {
  const file = join(directory, "figures.json")
  const sizes = ["--keys", "2000", "--rounds", "1", "--seconds", "0.01"]
  const { closed, errors } = start([
    "engines",
    ...sizes,
    "--contenders",
    engineNames.join(","),
    "--json",
    file,
  ])
  const [code] = await closed
  strictEqual(code, 0, errors())
  const document = JSON.parse(readFileSync(file, "utf8")) as {
    results: { suite: string; figures: EngineFigures }[]
  }
  const { cases, targets } = document.results.find(({ suite }) => suite === "engines")!.figures
  strictEqual(cases.length, 1)
  const { rates, machine, loads, amplification } = cases[0]!
  deepStrictEqual(
    rates.map(({ workload, contender }) => `${workload} ${contender}`),
    workloads.flatMap(({ name }) => engineNames.map((engine) => `${name} ${engine}`)),
  )
  for (const { workload, contender, rounds } of rates) {
    strictEqual(rounds.length, 1)
    ok(rounds[0]! > 0, `${workload} ${contender} has no figure`)
  }
  ok(machine.oneReadNs[0]! > 0 && machine.twoReadsNs[0]! > 0)
  deepStrictEqual(Object.keys(loads), [...engineNames])
  deepStrictEqual(Object.keys(amplification), [...engineNames])
  // No peer was asked for: ratios to peers are not measured, and nothing claims to be met.
  for (const { target, met } of targets.filter((each) => /times (rocksdb|lmdb)/.test(each.target))) {
    strictEqual(met, null, target)
  }
  deepStrictEqual(leftBehind(), [])
})

test("bench: the suite wire counts every record once and says what it did not measure", async () => {
  const file = join(directory, "wire.json")
  const sizes = ["--callers", "1,64", "--value-bytes", "10000", "--rounds", "1", "--seconds", "0.05"]
  const { closed, errors } = start(["wire", ...sizes, "--peers", "none", "--json", file])
  const [code] = await closed
  strictEqual(code, 0, errors())
  const document = JSON.parse(readFileSync(file, "utf8")) as { results: { figures: WireFigures }[] }
  const { rows, redisBenchmark, targets } = document.results[0]!.figures
  const places = rows.filter(({ contender }) => contender === "varve-unix")
  deepStrictEqual(
    places.map(({ workload, callers }) => `${workload} ${callers}`).toSorted(),
    [
      ...["set", "get", "mixed"].flatMap((workload) => [`${workload} 1`, `${workload} 64`]),
      ...["write 8", "getMany 8", "paced-set 0", "paced-get 0"],
    ].toSorted(),
  )
  for (const { workload, callers, rounds, offeredRate } of rows) {
    const [round] = rounds
    strictEqual((offeredRate ?? 0) > 0, workload.startsWith("paced-"), workload)
    // Each caller makes one call at least, each batch has 256 records.
    ok(round!.operations >= callers, `${workload} ${callers}`)
    if (callers === 8) strictEqual(round!.operations % 256, 0)
    ok(round!.p50Ms > 0 && round!.p50Ms <= round!.p99Ms && round!.p99Ms <= round!.p999Ms)
    ok(round!.clientCpuSeconds > 0 && round!.serverResidentBytes > 2 ** 20)
  }
  deepStrictEqual(redisBenchmark, [])
  // Targets are for smaller values and need peers: none was measured, and nothing claims to be met.
  for (const { target, measured, met } of targets) deepStrictEqual([measured, met], [null, null], target)
  deepStrictEqual(leftBehind(), [])
})

test("bench: the suite images stores processes of the machine, and less than they take", async () => {
  const file = join(directory, "images.json")
  const { closed, errors } = start(["images", "--programs", "dash,perl", "--json", file])
  const [code] = await closed
  strictEqual(code, 0, errors())
  const document = JSON.parse(readFileSync(file, "utf8")) as { results: { figures: ImageFigures }[] }
  const { bytes, bytesZero, modes } = document.results[0]!.figures
  deepStrictEqual(
    modes.map(({ regionKinds }) => regionKinds),
    ["apart", "together"],
  )
  for (const { bytesStored, images } of modes) {
    ok(bytesStored > 0 && bytesStored < bytes - bytesZero)
    deepStrictEqual(
      images.map(({ program: name, instance }) => `${name} ${instance}`),
      ["perl 1", "dash 1", "perl 2", "dash 2"],
    )
    for (const { regions, bytes: whole, storeMs, loadColdMs } of images) {
      ok(regions > 10 && whole > 2 ** 20 && storeMs > 0 && loadColdMs > 0)
    }
  }
  deepStrictEqual(leftBehind(), [])
})

test("bench: the JSON has every part of an engine's versions and of a baseline's, restores after a kill included", async () => {
  const file = join(directory, "snapshots.json")
  const { closed, errors } = start([
    "snapshots",
    "--keys",
    "1000",
    "--engines",
    "hybrid-log",
    "--trial",
    "--json",
    file,
  ])
  const [code] = await closed
  strictEqual(code, 0, errors())
  const document = JSON.parse(readFileSync(file, "utf8")) as {
    results: { figures: { cases: SnapshotCaseFigures[]; targets: TargetFigure[] } }[]
  }
  const { cases, targets } = document.results[0]!.figures
  deepStrictEqual(
    cases.map(({ subject }) => subject.name),
    ["hybrid-log", "hybrid-log, no deduplication"],
  )
  for (const { subject, seals, increments, latency, restores } of cases) {
    ok(increments!.ratioMedian > 0 && increments!.objectsMedian >= 2, subject.name)
    if (!subject.deduplication) continue
    ok(seals!.count > 0 && latency!.quiet.readP99Ms > 0 && latency!.busy.versions > 0, subject.name)
    ok(restores![0]!.answerMs > 0 && restores![0]!.processMs > restores![0]!.answerMs, subject.name)
  }
  // All of it is measured, and a trial gives no verdict.
  for (const { target, measured, met } of targets) ok(measured !== null && met === null, target)
  deepStrictEqual(leftBehind(), [])
})

test.each([
  [{ parts: "seals,merges" }, /^--parts merges: not one of seals, increments/],
  [{ engines: "rocksdb" }, /^--engines rocksdb: not one of memory/],
  [{ keys: "10" }, /^--keys 10: a whole number from 1000/],
])("bench: %j of the suite snapshots is refused", (texts, message) => {
  throws(() => parseSnapshotOptions(texts), { message })
})

test.each([
  [{ keys: "many" }, /^--keys many: a whole number from 1000/],
  [{ keys: "1e5,," }, /^--keys : a whole number/],
  [{ workloads: "get,scan" }, /^--workloads scan: not one of set, get/],
  [{ contenders: "oracle" }, /^--contenders oracle: not one of memory/],
  [{ rounds: "0" }, /^--rounds 0: a whole number from 1/],
  [{ seconds: "-1" }, /^--seconds -1: a number from/],
])("bench: %j is refused", (texts, message) => {
  throws(() => parseEngineOptions(texts), { message })
})

test("bench: a command line that cannot be done ends with exit code 2", async () => {
  const { closed, errors } = start(["snapshots", "--rounds", "2"])
  const [code] = await closed
  strictEqual(code, 2)
  strictEqual(errors(), "--rounds is an option of the suite engines and of the suite wire\n")
})

test.each([
  ["SIGINT", 130],
  ["SIGKILL", null],
] as const)("bench: after %s no child and no directory is left", async (signal, exitCode) => {
  const { child, closed } = start([
    "engines",
    "--keys",
    "2000",
    "--contenders",
    "hybrid-log",
    "--seconds",
    "0.01",
    "--rounds",
    "100",
  ])
  // Both stores are filled and a round has begun.
  for await (const part of child.stderr) if (String(part).includes("round 1")) break
  const [root] = leftBehind()
  strictEqual(readdirSync(join(directory, root!)).length, 1)
  child.kill(signal)
  const [code] = (await closed) as [number | null]
  strictEqual(code, exitCode)
  // The keeper and the children hold the pipe until they are gone: nothing has to be waited for.
  deepStrictEqual(leftBehind(), [])
})
