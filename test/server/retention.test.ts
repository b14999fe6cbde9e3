// Retention and garbage collection as people use them: a daemon, its command line and HTTP, a repository without a
// daemon. What was kept comes back, from the repository alone.

import { rm } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { runVarveHere } from "../cli/run-varve.ts"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, RawClient } from "./raw-client.ts"
import { until } from "./until.ts"

const KEYS = 40
const VALUE_BYTES = 4000
const VERSIONS = [1, 2, 3, 4, 5, 6]

interface Decision {
  readonly version: number
  readonly kept: boolean
  readonly reason: string
}

interface Figures {
  readonly condemned: number
  readonly removed: number
  readonly rewritten: number
  readonly bytes: number
  readonly bytesLive: number
}

/** Each version of this engine holds everything anew: one that goes leaves much garbage. */
const STORE_FLAGS = ["--engine", "memory", "--partitions", "2"]

let daemon: TestDaemon
let client: RawClient

beforeAll(async () => {
  daemon = await startDaemon({ flags: STORE_FLAGS })
  client = new RawClient(daemon.grpc)
  for (const version of VERSIONS) {
    for (let i = 0; i < KEYS; i++) await client.set(bytes(`k${i}`), valueFor(i, version))
    await client.snapshot(version)
  }
})

afterAll(async () => {
  client.close()
  await daemon.stop()
})

/** Of which no two are alike. */
function valueFor(key: number, version: number): Buffer {
  const value = Buffer.alloc(VALUE_BYTES)
  for (let at = 0; at < VALUE_BYTES; at += 4) {
    value.writeUInt32LE(Math.imul(key * VALUE_BYTES + at, 2_654_435_761 + version * 2) >>> 0, at)
  }
  return value
}

async function output(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runVarveHere(words)
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  return stdout.toString()
}

/** What a command of the daemon prints as JSON. */
async function json<Answer>(...words: readonly string[]): Promise<Answer> {
  return JSON.parse(await output(...words, "--json", "--address", daemon.grpc)) as Answer
}

const numbers = (listed: readonly { readonly version: number | bigint }[]): number[] =>
  listed.map(({ version }) => Number(version))

async function startAgain(flags: readonly string[]): Promise<void> {
  client.close()
  daemon = await daemon.restart({ flags: [...STORE_FLAGS, ...flags] })
  client = new RawClient(daemon.grpc)
}

async function ask(method: string, path: string, body?: unknown): Promise<[number, unknown]> {
  const headers = { "content-type": "application/json" }
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers }
  const response = await fetch(`${daemon.http}${path}`, { method, ...sent })
  return [response.status, await response.json()]
}

test("prune: a dry run says exactly what is then done, and why; pins have names", async () => {
  const unruled = await json<Decision[]>("snapshots", "prune")
  expect(unruled.every(({ kept }) => kept)).toBe(true)
  await output("snapshots", "pin", "2", "--name", "nightly", "--address", daemon.grpc)
  await output("snapshots", "pin", "2", "--name", "before-2.0", "--address", daemon.grpc)
  await output("snapshots", "pin", "1", "--address", daemon.grpc)
  expect(await output("snapshots", "list", "--address", daemon.grpc)).toMatch(
    /pinned as before-2\.0, nightly/,
  )
  await output("snapshots", "unpin", "1", "--address", daemon.grpc)
  await output("snapshots", "unpin", "2", "--name", "before-2.0", "--address", daemon.grpc)

  const prune = ["snapshots", "prune", "--keep-last", "2"]
  const expected = await json<Decision[]>(...prune, "--dry-run")
  expect(numbers(await client.listSnapshots())).toEqual(VERSIONS)
  const said = await output(...prune, "--dry-run", "--address", daemon.grpc)
  expect(said).toMatch(/│ 2 .*│ kept +│ pinned as nightly +│/)
  expect(said).toMatch(/\n3 of 6 versions would go\n$/)
  expect(await json(...prune)).toEqual(expected)
  expect(numbers(expected.filter(({ kept }) => !kept))).toEqual([1, 3, 4])
  expect(numbers(await client.listSnapshots())).toEqual([2, 5, 6])
  expect(numbers((await json<Decision[]>(...prune)).filter(({ kept }) => !kept))).toEqual([])
})

test("the same over HTTP, and what is not allowed is refused", async () => {
  const prune = "/v1/stores/default/prune"
  const [status, answer] = await ask("POST", prune, { keepFor: "1h", dryRun: true })
  expect(status).toBe(200)
  expect((answer as { decisions: Decision[] }).decisions.map(({ reason }) => reason)).toEqual([
    "pinned as nightly",
    "younger than 1h",
    "a partition stands on it",
  ])
  expect((await ask("PUT", "/v1/stores/default/snapshots/5/pin?name=kept"))[0]).toBe(200)
  expect((await ask("DELETE", "/v1/stores/default/snapshots/5/pin?name=kept"))[0]).toBe(200)
  const [collected, figures] = await ask("POST", "/v1/gc", { dryRun: true })
  expect([collected, (figures as Figures).removed]).toEqual([200, 0])
  expect((await ask("GET", `/v1/gc/why/${"0".repeat(64)}`))[1]).toEqual({
    chunks: [],
    keepers: [],
    images: [],
    damage: [],
  })
  for (const [method, path, body] of [
    ["POST", prune, { keepFor: "soon" }],
    ["POST", prune, { keepLast: -1 }],
    ["PUT", "/v1/stores/default/snapshots/5/pin?name=No%20name"],
    ["GET", "/v1/gc/why/no-hash"],
  ] as const) {
    expect((await ask(method, path, body))[0], path).toBe(400)
  }
  for (const words of [
    ["snapshots", "prune", "--keep-for", "soon"],
    ["gc", "--grace", "1d"],
    ["gc", "--repository", "nowhere"],
    ["gc", "--repository", "file:x", "--address", daemon.grpc],
  ]) {
    expect((await runVarveHere(words)).code, words.join(" ")).toBe(2)
  }
})

test("gc through the daemon: what is young stays; without a daemon and exclusive, all garbage goes", async () => {
  const young = await json<Figures>("gc")
  expect([young.removed, young.condemned, young.rewritten]).toEqual([0, 0, 0])
  expect(young.bytesLive).toBeLessThan(young.bytes)
  expect(await output("gc", "--dry-run", "--address", daemon.grpc)).toMatch(/0 packs would be removed/)
  const repository = `file:${join(daemon.directory, "data", "repository")}`
  expect(await daemon.kill("SIGTERM")).toBe(0)

  const refused = await runVarveHere(["gc", "--repository", repository, "--grace", "0"])
  const leastGrace = "--grace 0: 12h or more; with --exclusive"
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining(leastGrace)])
  const collect = ["gc", "--repository", repository, "--exclusive", "--grace", "0", "--json"]
  const offline = async (...words: string[]): Promise<Figures & { readonly seconds: number }> =>
    JSON.parse(await output(...collect, ...words)) as Figures & { seconds: number }
  const total = { condemned: 0, removed: 0, rewritten: 0 }
  for (let round = 0; round < 2; round++) {
    const expected = await offline("--dry-run")
    const done = await offline()
    const unknown = { seconds: 0, bytesRewritten: 0 }
    expect({ ...done, ...unknown }).toEqual({ ...expected, ...unknown })
    for (const what of ["condemned", "removed", "rewritten"] as const) total[what] += done[what]
  }
  expect(total.condemned).toBeGreaterThan(0)
  expect(total.removed).toBeGreaterThanOrEqual(total.condemned)
  const why = await output("gc", "why", "0".repeat(32), "--repository", repository)
  expect(why).toMatch(
    new RegExp(
      `^nothing needs ${"0".repeat(32)}: no version .* nor anything of a pack with this id\\. The ids of runs `,
    ),
  )
  const noName = await runVarveHere(["gc", "why", "zz", "--repository", repository])
  expect([noName.code, noName.stderr]).toEqual([
    2,
    expect.stringContaining('"zz" names no chunk and no pack'),
  ])

  // From the repository alone: what was kept is all there.
  await rm(join(daemon.directory, "data", "stores"), { recursive: true })
  await startAgain([])
  for (const version of [2, 5, 6]) {
    await client.restore({ version: BigInt(version) })
    for (let i = 0; i < KEYS; i++) expect(await client.get(bytes(`k${i}`))).toEqual(valueFor(i, version))
  }
})

test("on schedule versions are pruned and garbage is collected; the figures say so, and a stop is quick", async () => {
  expect(await daemon.kill("SIGTERM")).toBe(0)
  await startAgain(["--gc-interval", "1s", "--keep-last", "1"])
  const isLogged = (event: string): boolean => daemon.log.some((line) => line.event === event)
  await until("a collection", () => isLogged("garbage-collected"))
  expect(isLogged("snapshots-pruned")).toBe(true)
  expect(numbers(await client.listSnapshots())).toEqual([2, 6])
  const page = await (await fetch(`${daemon.http}/metrics`)).text()
  const figures = new Map(
    [...page.matchAll(/^(varve_(?:gc|retention)_\S+) (\S+)$/gm)].map(([, name, value]) => [
      name,
      Number(value),
    ]),
  )
  expect(figures.get('varve_retention_versions_removed_total{store="default"}')).toBe(1)
  expect(figures.get('varve_retention_versions{store="default"}')).toBe(2)
  expect(figures.get("varve_gc_last_timestamp_seconds")).toBeGreaterThan(1e9)
  expect(figures.get("varve_gc_failures_total")).toBe(0)
  expect(await daemon.kill("SIGTERM")).toBe(0)
})
