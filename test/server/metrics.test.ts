// The metrics of a real daemon after it has done a bit of everything: what the table of deploy/metrics.md says, what
// promtool and OpenMetrics ask for, and figures that are true, also after a stop and after a crash.

import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { UNSEQUENCED } from "@varve/proto"
import { afterAll, beforeAll, expect, test } from "vitest"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { documentedMetrics, offeredMetrics, seriesValue, sumOf, tableLine } from "./metrics-table.ts"
import { parseOpenMetrics } from "./open-metrics.ts"
import { bytes, RawClient } from "./raw-client.ts"

const PARTITIONS = 4
const config = `
shards: 2
limits: { connectionsMax: 3 }
stores:
  default: { partitions: ${PARTITIONS}, durability: log }
  small: { engine: memory, partitions: 1 }
`
/** Written before the version, and after it. */
const SAVED = 60
const UNSAVED = 20
/** Encoded: two lengths of one byte, flags, key, value. */
const RECORD_BYTES = 3 + "key-10".length + "value".length

let directory: string
let daemon: TestDaemon

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-metrics-"))
  const path = join(directory, "varve.yaml")
  await writeFile(path, config)
  daemon = await startDaemon({ directory, flags: ["--config", path] })
  await write(0, SAVED)
  await post("stores/default/snapshots", { version: 7 })
  await write(SAVED, SAVED + UNSAVED)
  await post("stores/default/snapshots", { version: 7 }, 409)
  await post("stores/default/restore", { version: 99 }, 404)
  await post("stores/small/snapshots", { version: 1 })
  await post("stores/small/restore", { version: 1 })
  await post("gc", {})
  await post("stores/default/drill", {})
})

afterAll(async () => {
  await daemon.kill("SIGKILL")
  await rm(directory, { recursive: true, force: true })
})

async function write(from: number, end: number): Promise<void> {
  const client = new RawClient(daemon.grpc)
  for (let i = from; i < end; i++) await client.set(bytes(`key-${10 + i}`), bytes("value"))
  client.close()
}

async function post(path: string, body: object, status = 200): Promise<void> {
  const headers = { "content-type": "application/json" }
  const answer = await fetch(`${daemon.http}/v1/${path}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  })
  expect({ path, status: answer.status, answer: await answer.text() }).toMatchObject({ path, status })
}

async function page(accept = "*/*"): Promise<{ readonly body: string; readonly type: string | null }> {
  const answer = await fetch(`${daemon.http}/metrics`, { headers: { accept } })
  return { body: await answer.text(), type: answer.headers.get("content-type") }
}

test("deploy/metrics.md: its table is what a daemon offers, with types, labels and help", async () => {
  const offered = offeredMetrics((await page()).body)
  const lines = [...offered.values()].map(tableLine).sort()
  expect([...(await documentedMetrics()).values()].map(tableLine).sort()).toEqual(lines)
  expect(lines.length).toBeGreaterThan(100)
  for (const { name, help } of offered.values()) expect(help, name).toMatch(/^[A-Z0-9].{9,}\.$/)
  // Each stands alone: a page of metrics is sorted by name.
  const leaning = /^(?:\w+ ){0,3}(?:these|them|they|it|that (?:version|file|reason|took))\b/
  for (const { name, help } of offered.values()) expect(help, name).not.toMatch(leaning)
})

test("deploy/README.md: the metrics that answer questions are there", async () => {
  const readme = await readFile(new URL("../../deploy/README.md", import.meta.url), "utf8")
  const section = readme.split(/^## /m).find((each) => each.startsWith("Metrics")) ?? ""
  const rows = section.split("\n").filter((line) => line.startsWith("| ") && line.includes("`"))
  const cells = rows.flatMap((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, cell]) => cell!))
  const named = cells.map((cell) => /[a-z]+(?:_[a-z]+)+/.exec(cell)?.[0] ?? cell)
  const labels = ["stage", "origin", "reason"]
  const documented = await documentedMetrics()
  expect(named.filter((name) => !documented.has(`varve_${name}`) && !labels.includes(name))).toEqual([])
  expect(rows.length).toBeGreaterThan(10)
})

test("promtool check metrics: nothing to say but of three of prom-client's own", async () => {
  const promtool = spawn("promtool", ["check", "metrics"], { stdio: ["pipe", "ignore", "pipe"] })
  const ended = once(promtool, "exit")
  promtool.stdin.end((await page()).body)
  const said = await text(promtool.stderr)
  await ended
  const complaints = ["handles", "requests", "resources"].map(
    (what) => `nodejs_active_${what}_total non-counter metrics should not have "_total" suffix`,
  )
  expect(said.trim().split("\n").sort()).toEqual(complaints)
})

test("OpenMetrics: well-formed when the Accept header asks for it, and the same figures", async () => {
  const { body, type } = await page(
    "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
  )
  expect(type).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8")
  const families = parseOpenMetrics(body)
  expect(families.get("varve_errors")).toMatchObject({ type: "counter" })
  expect(
    families.get("varve_errors")!.samples.get('varve_errors_total{reason="VERSION_NOT_ASCENDING"}'),
  ).toBe(1)
  const plain = await page("text/plain;version=0.0.4,*/*;q=0.1")
  expect(plain.type).toBe("text/plain; version=0.0.4; charset=utf-8")
  const names = [...offeredMetrics(plain.body).values()].map((row) =>
    row.type === "counter" ? row.name.replace(/_total$/, "") : row.name,
  )
  expect([...families.keys()].filter((name) => !/^(process|nodejs)_/.test(name)).sort()).toEqual(names.sort())
})

test("figures: versions, what they do not hold, stages, requests, refusals", async () => {
  const { body } = await page()
  const of = (series: string): number => seriesValue(body, series)
  expect(of('varve_snapshot_last_version{store="default"}')).toBe(7)
  expect(of('varve_snapshots_running{store="default"}')).toBe(0)
  expect(sumOf(body, "varve_unsaved_records")).toBe(UNSAVED)
  expect(sumOf(body, "varve_unsaved_bytes")).toBe(UNSAVED * RECORD_BYTES)
  expect(sumOf(body, "varve_written_records_total")).toBe(SAVED + UNSAVED)
  for (const stage of ["seal", "flush", "wait", "chunk", "upload", "commit"]) {
    expect(of(`varve_snapshot_stage_seconds_count{store="default",stage="${stage}"}`), stage).toBe(PARTITIONS)
  }
  expect(of('varve_snapshot_failures_total{store="default"}')).toBe(0)
  expect(of('varve_snapshot_refusals_total{store="default"}')).toBe(1)
  expect(of('varve_restore_failures_total{store="default"}')).toBe(0)
  expect(of('varve_restore_refusals_total{store="default"}')).toBe(1)
  expect(of('varve_errors_total{reason="SNAPSHOT_NOT_FOUND"}')).toBe(1)
  expect(of('varve_log_sync_duration_seconds_count{store="default"}')).toBe(
    sumOf(body, "varve_log_syncs_total"),
  )
  expect(of('varve_log_sync_duration_seconds_count{store="default"}')).toBe(SAVED + UNSAVED)
  expect(of('varve_log_sync_duration_seconds_count{store="small"}')).toBe(0)
  // Jobs alone write packs, and only the drill's thread reads them: they count too.
  expect(of('varve_repository_bytes_total{operation="create"}')).toBeGreaterThan(
    sumOf(body, "varve_snapshot_bytes_total"),
  )
  expect(of('varve_repository_bytes_total{operation="get"}')).toBeGreaterThan(
    of('varve_drill_last_read_bytes{store="default"}'),
  )
  expect(of('varve_repository_request_duration_seconds_count{operation="list"}')).toBeGreaterThan(0)
  expect(sumOf(body, "varve_repository_request_failures_total")).toBe(0)
  expect(of('varve_drills_total{store="default",result="passed"}')).toBe(1)
  expect(of("varve_filesystem_free_bytes")).toBeLessThanOrEqual(of("varve_filesystem_size_bytes"))
  expect(of("varve_connections_limit")).toBeGreaterThanOrEqual(of("varve_connections"))
})

test("figures: connections and calls, beside their limits; connections above it are counted", async () => {
  const client = new RawClient(daemon.grpc)
  const pipeline = client.stub.pipeline()
  pipeline.on("error", () => undefined)
  const place = { store: "none", partition: 0, lineage: "", ...UNSEQUENCED }
  pipeline.write({ id: 1, ...place, work: undefined })
  await once(pipeline, "data")
  const [host, port] = daemon.grpc.split(":")
  const sockets = Array.from({ length: 3 }, () => connect(Number(port), host).on("error", () => undefined))
  await Promise.race(sockets.map((socket) => once(socket, "close")))
  const { body } = await page()
  expect(seriesValue(body, "varve_connections")).toBe(3)
  expect(seriesValue(body, "varve_connections_limit")).toBe(6)
  expect(seriesValue(body, "varve_connections_refused_total")).toBe(1)
  expect(seriesValue(body, "varve_open_calls")).toBe(1)
  expect(seriesValue(body, 'varve_errors_total{reason="STORE_UNKNOWN"}')).toBe(1)
  expect(seriesValue(body, "varve_open_calls_limit")).toBeGreaterThan(1000)
  for (const socket of sockets) socket.destroy()
  pipeline.cancel()
  client.close()
})

test("figures: what no version holds, and how old the newest is, are known after a stop and after a crash", async () => {
  const sealed = 'varve_snapshot_last_timestamp_seconds{store="default"}'
  const before = seriesValue((await page()).body, sealed)
  expect(before).toBeGreaterThan(1_700_000_000)
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    await daemon.kill(signal)
    daemon = await daemon.restart()
    const { body } = await page()
    expect(sumOf(body, "varve_unsaved_records"), signal).toBe(UNSAVED)
    expect(sumOf(body, "varve_unsaved_bytes"), signal).toBe(UNSAVED * RECORD_BYTES)
    expect(seriesValue(body, sealed), signal).toBe(before)
  }
  await post("stores/default/snapshots", { version: 8 })
  const { body } = await page()
  expect(sumOf(body, "varve_unsaved_records")).toBe(0)
  expect(seriesValue(body, sealed)).toBeGreaterThan(before)
})
