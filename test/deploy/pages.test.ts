// What the pages of deploy/ say is so: each alert has its heading, metrics and log events that are named exist, numbers
// are those of the code, settings that are shown are accepted, and systemd takes the unit.

import { deepStrictEqual, match, ok, strictEqual } from "node:assert"
import { execFile } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { parseSettings } from "@varve/server"
import { test } from "vitest"
import { parse } from "yaml"

const root = fileURLToPath(new URL("../..", import.meta.url))
const pages = ["README", "alerts", "operations", "recovery", "sizing"].map((name) => `deploy/${name}.md`)
const run = promisify(execFile)

function read(path: string): string {
  return readFileSync(join(root, path), "utf8")
}

/** All that people wrote below a folder, one text. */
function sourcesOf(folder: string): string {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => read(join(folder, name)))
    .join("\n")
}

function found(pattern: RegExp, text: string): string[] {
  return [...text.matchAll(pattern)].map(([, name]) => name!)
}

const server = sourcesOf("server/src")
const engines = sourcesOf("engines/src")

test("deploy: every alert has its heading, where its runbook points, and no heading is left over", () => {
  const { groups } = parse(read("deploy/prometheus/alerts.yml")) as {
    groups: { rules: { alert: string; annotations: { runbook: string } }[] }[]
  }
  const rules = groups.flatMap((group) => group.rules)
  const headings = found(/^## (.+)$/gm, read("deploy/alerts.md"))
  ok(headings.length > 20)
  deepStrictEqual(rules.map(({ alert }) => alert).toSorted(), headings.toSorted())
  deepStrictEqual(
    rules.map(({ annotations }) => annotations.runbook).toSorted(),
    headings.map((heading) => `deploy/alerts.md#${heading.toLowerCase()}`).toSorted(),
  )
})

test("deploy: metrics that the pages name are in the table of metrics", () => {
  const table = new Set(found(/^\| `([a-z_]+)` \|/gm, read("deploy/metrics.md")))
  ok(table.size > 50)
  const named = pages.flatMap((page) => found(/\b((?:varve|grpc_server)_[a-z_]+[a-z])(?!…)\b/g, read(page)))
  ok(named.length > 20)
  deepStrictEqual(
    named.filter((name) => !table.has(name)),
    [],
  )
})

test("deploy: log events that the pages name are written by the daemon", () => {
  const about = ["alerts", "operations", "recovery"].map((name) => `deploy/${name}.md`)
  const events = about.flatMap((page) => found(/`([a-z]+(?:-[a-z]+)+)`/g, read(page)))
  ok(events.length > 20)
  deepStrictEqual(
    events.filter((event) => !server.includes(`"${event}"`) && !engines.includes(`"${event}"`)),
    [],
  )
})

test("deploy: sizing.md reckons with the numbers of the code", () => {
  const page = read("deploy/sizing.md")
  const constants = { JOB_THREADS: 2, CHUNK_COUNT_MAX: 786_432 }
  const mebibytes = { CHECKPOINT_BYTES_DEFAULT: 64, SEGMENT_BYTES_DEFAULT: 16 }
  for (const name of [...Object.keys(constants), ...Object.keys(mebibytes)]) ok(page.includes(`\`${name}\``))
  const shard = read("server/src/shard/shard.ts")
  const value = (name: string): string =>
    new RegExp(`const ${name} = (.+)`).exec(`${shard}\n${engines}`)![1]!.replaceAll("_", "")
  for (const [name, number] of Object.entries(constants)) strictEqual(value(name), String(number), name)
  for (const [name, number] of Object.entries(mebibytes)) strictEqual(value(name), `${number} * 1024 * 1024`)
  const { settings } = settingsOf("{}")
  strictEqual(settings.blockCacheBytes, 64 * 1024 * 1024)
  strictEqual(settings.chunkCacheBytes, 16 * 1024 * 1024)
  strictEqual(settings.limits.inflightBytesMax, 256 * 1024 * 1024)
  strictEqual(settings.stores[0]!.replacedStatesMax, 3)
})

function settingsOf(yaml: string): ReturnType<typeof parseSettings> {
  const file = { path: "varve.yaml", content: parse(yaml) as unknown }
  return parseSettings({ flags: {}, environment: {}, file, currentDirectory: root })
}

test("deploy: configuration that the pages show is accepted", () => {
  const blocks = pages.flatMap((page) => found(/^```yaml\n(.*?)^```$/gms, read(page)))
  const configurations = blocks.filter((block) => /^(?:repository|stores):/m.test(block))
  ok(configurations.length >= 2)
  for (const configuration of configurations) deepStrictEqual(settingsOf(configuration).warnings, [])
})

test("deploy: systemd takes the unit, and finds little that it could do", async () => {
  const unit = read("deploy/systemd/varve.service")
  const [, program] = /^ExecStart=\/usr\/bin\/node \/opt\/varve\/(\S+) serve /m.exec(unit)!
  ok(read(program!).startsWith("#!/usr/bin/env node"))
  const [, limit] = /const STOP_LIMIT_MS = (\d+)/.exec(server)!
  ok(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)![1]) * 1000 > Number(limit))
  const directory = mkdtempSync(join(tmpdir(), "varve-unit-"))
  try {
    const path = join(directory, "varve.service")
    writeFileSync(path, unit.replace("/usr/bin/node", process.execPath))
    const { stdout, stderr } = await run("systemd-analyze", ["verify", path])
    deepStrictEqual([stdout, stderr], ["", ""])
    const security = await run("systemd-analyze", ["security", "--offline=true", "--threshold=20", path])
    match(security.stdout, /Overall exposure level for varve.service: 1\.\d OK/)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
