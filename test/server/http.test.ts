// HTTP, reflection and metrics of a running daemon.

import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert"
import { execFile } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, test } from "vitest"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, RawClient } from "./raw-client.ts"

let daemon: TestDaemon
let client: RawClient

beforeAll(async () => {
  daemon = await startDaemon()
  client = new RawClient(daemon.grpc)
})

afterAll(async () => {
  client.close()
  await daemon.stop()
})

async function ask(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: Record<string, unknown> }> {
  const response = await fetch(`${daemon.http}${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  })
  return { status: response.status, json: (await response.json()) as Record<string, unknown> }
}

const reasonOf = ({ json }: { json: Record<string, unknown> }): unknown =>
  (json["error"] as { reason: string }).reason

const messageOf = (json: unknown): string => (json as { error: { message: string } }).error.message

test("http: the administrative calls do what the gRPC calls do", async () => {
  await client.set(bytes("k"), bytes("one"))
  const metadata = Buffer.from("offset 1").toString("base64")
  const made = await ask("POST", "/v1/stores/default/snapshots", { version: 1, metadata })
  deepStrictEqual([made.status, made.json["version"], made.json["complete"]], [200, 1, true])
  await client.set(bytes("k"), bytes("two"))
  const back = await ask("POST", "/v1/stores/default/restore", {})
  deepStrictEqual([back.status, back.json["version"], back.json["metadata"]], [200, 1, metadata])
  deepStrictEqual(await client.get(bytes("k")), bytes("one"))
  const listed = await ask("GET", "/v1/stores/default/snapshots")
  strictEqual((listed.json["snapshots"] as unknown[]).length, 1)
  // Some clients say of every request that its body is JSON, also where there is none.
  const headers = { "content-type": "application/json" }
  const path = `${daemon.http}/v1/stores/default/snapshots/1/pin`
  strictEqual((await fetch(path, { method: "PUT", headers })).status, 200)
  const bodiless = await fetch(`${daemon.http}/v1/gc`, { method: "POST", headers })
  const { error } = (await bodiless.json()) as { error: { message: string; metadata: unknown } }
  deepStrictEqual([bodiless.status, error.metadata], [400, {}])
  match(error.message, /the body is needed/)
  strictEqual((await ask("PUT", "/v1/stores/default/snapshots/1/pin")).status, 200)
  const pinned = await ask("DELETE", "/v1/stores/default/snapshots/1")
  deepStrictEqual([pinned.status, reasonOf(pinned)], [409, "SNAPSHOT_PINNED"])
  strictEqual((await ask("DELETE", "/v1/stores/default/snapshots/1/pin")).status, 200)
  strictEqual((await ask("DELETE", "/v1/stores/default/snapshots/1")).status, 200)
  strictEqual(reasonOf(await ask("DELETE", "/v1/stores/default/snapshots/1")), "SNAPSHOT_NOT_FOUND")
  const { json } = await ask("GET", "/v1/describe")
  strictEqual((json["stores"] as { name: string }[])[0]?.name, "default")
})

test("http: what is not allowed is refused with its reason", async () => {
  const restore = "/v1/stores/default/restore"
  for (const [method, path, body, status, reason] of [
    ["POST", "/v1/stores/nowhere/restore", {}, 404, "STORE_UNKNOWN"],
    ["POST", restore, { versoin: 1 }, 400, "REQUEST_INVALID"],
    ["POST", restore, { version: "x" }, 400, "REQUEST_INVALID"],
    ...[true, [3], "", "0x10", 1.5, null].map(
      (version) => ["POST", restore, { version }, 400, "REQUEST_INVALID"] as const,
    ),
    ["GET", "/v1/stores/%ff/snapshots", undefined, 400, "REQUEST_INVALID"],
    [`GET`, `/v1/stores/${"a".repeat(1000)}/snapshots`, undefined, 414, "REQUEST_INVALID"],
    ["POST", restore, { version: 99 }, 404, "SNAPSHOT_NOT_FOUND"],
    ["POST", "/v1/stores/default/snapshots", { version: 0 }, 400, "VERSION_INVALID"],
    [
      "POST",
      "/v1/stores/default/snapshots",
      { version: 5, metadata: Buffer.alloc(1024 * 1024 + 1).toString("base64") },
      400,
      "METADATA_TOO_LARGE",
    ],
    ["GET", "/v1/nothing", undefined, 404, "UNIMPLEMENTED"],
    ["DELETE", "/v1/stores/default/snapshots/x", undefined, 400, "REQUEST_INVALID"],
  ] as const) {
    const answer = await ask(method, path, body)
    deepStrictEqual([answer.status, reasonOf(answer)], [status, reason], path)
  }
  // What a form on somebody's page could send.
  const simple = await fetch(`${daemon.http}${restore}`, { method: "POST", body: "{}" })
  strictEqual(simple.status, 415)
  strictEqual(messageOf(await simple.json()), "send content-type: application/json")
  const empty = await fetch(`${daemon.http}${restore}`, { method: "POST" })
  strictEqual(empty.status, 400)
  match(messageOf(await empty.json()), /^the body is needed: a JSON object with version, timeline/)
  const emptyJson = await fetch(`${daemon.http}${restore}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
  })
  match(messageOf(await emptyJson.json()), /^the body is needed: a JSON object/)
  const snapshots = "/v1/stores/default/snapshots"
  for (const body of [{ verzion: 3 }, { verzion: 3, version: 3 }]) {
    match(
      messageOf((await ask("POST", snapshots, body)).json),
      /^there is no field verzion; known: version, /,
    )
  }
  for (const body of [{}, { version: "x" }, { version: 1.5 }, { version: "99999999999999999999" }]) {
    const answer = await ask("POST", snapshots, body)
    strictEqual(messageOf(answer.json), "version: a whole number from 1 to 2^53 - 1 is needed")
  }
})

test("log: what the caller did wrong is a line without a stack", async () => {
  const fresh = await startDaemon()
  const raw = new RawClient(fresh.grpc)
  try {
    const body = { method: "POST", body: "{}", headers: { "content-type": "application/json" } }
    const answer = await fetch(`${fresh.http}/v1/stores/default/restore`, body)
    strictEqual(messageOf(await answer.json()), "there is no version yet")
    await raw.snapshot(5)
    await rejects(raw.snapshot(5))
    await fresh.kill("SIGTERM")
    const lines = fresh.log.filter(({ event }) => /^(snapshot|restore)-/.test(event))
    deepStrictEqual(
      lines.map(({ level, event, reason, stack }) => [level, event, reason, stack]),
      [
        ["info", "restore-refused", "SNAPSHOT_NOT_FOUND", undefined],
        ["info", "snapshot-refused", "VERSION_NOT_ASCENDING", undefined],
      ],
    )
  } finally {
    raw.close()
    await fresh.stop()
  }
})

test("http: health, readiness and a page that loads nothing from elsewhere", async () => {
  strictEqual((await fetch(`${daemon.http}/healthz`)).status, 200)
  strictEqual((await fetch(`${daemon.http}/readyz`)).status, 200)
  const page = await fetch(daemon.http)
  match(page.headers.get("content-type")!, /text\/html/)
  const html = await page.text()
  ok(html.includes("Store default") && html.includes('href="/metrics"'))
  ok(html.includes("<th>start</th>") && html.includes("<th>index in memory</th>"))
  ok(/<td>[\d.]+ [KM]iB<\/td>/.test(html))
  ok(!/(src|href)="?https?:/.test(html))
})

test("metrics: sane text, every series there from the start, figures that move", async () => {
  const fresh = await startDaemon()
  try {
    const text = await (await fetch(`${fresh.http}/metrics`)).text()
    checkExposition(text)
    for (const series of [
      'varve_operations_total{store="default",kind="pipeline_write",result="error"} 0',
      'varve_operations_total{store="default",kind="conditional_write",result="refused"} 0',
      'varve_snapshot_bytes_total{store="default",origin="new"} 0',
      'varve_snapshot_failures_total{store="default"} 0',
      'varve_restore_failures_total{store="default"} 0',
      'varve_snapshot_duration_seconds_count{store="default"} 0',
      'varve_operation_duration_seconds_bucket{le="0.0001",store="default",kind="get"} 0',
      'varve_records{store="default",partition="3"} 0',
      'varve_runs{store="default",partition="0",level="7"} 0',
      'varve_event_loop_delay_seconds_bucket{le="0.001",thread="shard-0"}',
      'varve_event_loop_delay_seconds_bucket{le="+Inf",thread="main"}',
      'grpc_server_handled_total{grpc_type="unary",grpc_service="varve.v1.StateBackend",grpc_method="Get",grpc_code="NotFound"} 0',
      "process_resident_memory_bytes ",
    ]) {
      ok(text.includes(`\n${series}`), series)
    }
  } finally {
    await fresh.stop()
  }
  await client.set(bytes("moving"), bytes("v"))
  await client.snapshot(1000)
  const moved = await (await fetch(`${daemon.http}/metrics`)).text()
  const value = (series: string): number =>
    Number(
      moved
        .split("\n")
        .find((line) => line.startsWith(series))
        ?.slice(series.length),
    )
  ok(value('varve_operations_total{store="default",kind="set",result="ok"}') >= 1)
  strictEqual(value('varve_snapshot_last_version{store="default"}'), 1000)
  ok(value('varve_snapshot_last_timestamp_seconds{store="default"}') > 1_700_000_000)
  ok(value('varve_snapshot_seal_seconds_count{store="default"}') >= 1)
})

/** What promtool looks at: one HELP and TYPE a family, before its samples; no series twice; numbers. */
function checkExposition(text: string): void {
  const families = new Set<string>()
  const series = new Set<string>()
  let family = ""
  for (const line of text.split("\n").filter((each) => each !== "")) {
    const help = /^# HELP (\S+) (.+)$/.exec(line)
    if (help !== null) {
      ok(!families.has(help[1]!), `twice: ${line}`)
      family = help[1]!
      families.add(family)
      ok(help[2]!.length > 10 || !family.startsWith("varve_"), line)
    } else if (line.startsWith("# TYPE ")) {
      ok(line.startsWith(`# TYPE ${family} `), line)
      if (line.endsWith(" counter") && !family.startsWith("nodejs_")) ok(family.endsWith("_total"), line)
    } else {
      const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{[^}]*\})?) (-?[0-9.e+-]+|NaN|Nan|[+-]Inf)$/.exec(line)
      ok(sample !== null, line)
      ok(sample[1]!.startsWith(family), line)
      ok(!series.has(sample[1]!), `twice: ${line}`)
      series.add(sample[1]!)
    }
  }
  ok(families.size > 30)
}

test("reflection: an independent client finds the service and speaks to it", async () => {
  const buf = join(
    dirname(createRequire(import.meta.url).resolve("@bufbuild/buf/package.json")),
    "bin",
    "buf",
  )
  const curl = async (...more: string[]): Promise<string> =>
    (
      await promisify(execFile)(buf, ["curl", "--protocol", "grpc", "--http2-prior-knowledge", ...more], {
        timeout: 30_000,
      })
    ).stdout
  const url = `http://${daemon.grpc}`
  match(await curl("--list-services", url), /varve\.v1\.StateBackend/)
  match(await curl("--list-methods", url), /varve\.v1\.StateBackend\/Pipeline/)
  const key = Buffer.from("from buf").toString("base64")
  const value = Buffer.from("hello").toString("base64")
  await curl("--data", JSON.stringify({ key, value }), `${url}/varve.v1.StateBackend/Set`)
  deepStrictEqual(await client.get(bytes("from buf")), bytes("hello"))
  const answer = await curl(
    "--reflect-protocol",
    "grpc-v1alpha",
    "--data",
    JSON.stringify({ key }),
    `${url}/varve.v1.StateBackend/Get`,
  )
  deepStrictEqual(JSON.parse(answer), { found: true, value })
})
