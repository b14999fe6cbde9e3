// Restore drills of a daemon: one passes, a pack is damaged in the repository, the next one fails and says so
// everywhere, the pack is mended, and all is well again. What is served never changes.

import { readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterEach, expect, test } from "vitest"
import { runVarveHere } from "../cli/run-varve.ts"
import { type DaemonLogLine, startDaemon, type TestDaemon } from "./daemon.ts"
import { health, ServingStatus } from "./health.ts"
import { seriesValue } from "./metrics-table.ts"
import { bytes, RawClient } from "./raw-client.ts"
import { until } from "./until.ts"

const KEYS = 100
const VALUE_BYTES = 1000
/** Of a chunk of records. */
const DAMAGED_BYTE = 5000
const SCHEDULED = ["--partitions", "2", "--drill-every", "1s"]

let daemon: TestDaemon | undefined

afterEach(async () => daemon?.stop())

async function startWithVersion(environment: Record<string, string>): Promise<TestDaemon> {
  daemon = await startDaemon({ flags: SCHEDULED, environment })
  const client = new RawClient(daemon.grpc)
  for (let i = 0; i < KEYS; i++) await client.set(bytes(`k${i}`), Buffer.alloc(VALUE_BYTES, `${i} `))
  await client.snapshot(7)
  client.close()
  return daemon
}

/** The first such line after the first `from` ones. */
function logged({ log }: TestDaemon, event: string, from = 0): Promise<DaemonLogLine> {
  return until(event, () => log.slice(from).find((line) => line.event === event))
}

async function figure({ http }: TestDaemon, series: string): Promise<number> {
  return seriesValue(await (await fetch(`${http}/metrics`)).text(), series)
}

/** Flips a bit of the largest pack; twice: it is as it was. @returns the pack's key */
async function flip({ directory }: TestDaemon): Promise<string> {
  const folder = join(directory, "data/repository/packs/records")
  const packs = await Promise.all(
    (await readdir(folder)).map(async (name) => ({ name, content: await readFile(join(folder, name)) })),
  )
  const [largest] = packs.sort((a, b) => b.content.length - a.content.length)
  largest!.content[DAMAGED_BYTE]! ^= 1
  await writeFile(join(folder, largest!.name), largest!.content)
  return `packs/records/${largest!.name}`
}

const ready = async ({ http }: TestDaemon): Promise<[number, string]> => {
  const response = await fetch(`${http}/readyz`)
  return [response.status, await response.text()]
}

test("drills by schedule: what passes, what fails and what is mended is told everywhere", async () => {
  const running = await startWithVersion({ VARVE_DRILLS_FAIL_READINESS: "true" })
  expect(await logged(running, "drill-passed")).toMatchObject({ level: "info", store: "default", version: 7 })
  expect(await figure(running, 'varve_snapshot_last_verified_version{store="default"}')).toBe(7)
  const verified = await figure(running, 'varve_snapshot_last_verified_timestamp_seconds{store="default"}')
  const created = await figure(
    running,
    'varve_snapshot_last_verified_created_timestamp_seconds{store="default"}',
  )
  expect(verified).toBeGreaterThan(created)
  const first = await figure(
    running,
    'varve_recovery_predicted_seconds{store="default",until="first_answer"}',
  )
  const complete = await figure(running, 'varve_recovery_predicted_seconds{store="default",until="complete"}')
  expect(first).toBeGreaterThan(0)
  expect(complete).toBeGreaterThan(first)
  expect(await ready(running)).toEqual([200, "ok\n"])

  const before = running.log.length
  const pack = await flip(running)
  const failed = await logged(running, "drill-failed", before)
  expect(failed).toMatchObject({ level: "error", store: "default", version: 7 })
  expect(failed.message).toContain(pack)
  expect(await ready(running)).toEqual([503, "cannot be restored, by the last drill: default\n"])
  await until("NOT_SERVING", async () =>
    (await health(running.grpc)) === ServingStatus.NOT_SERVING ? true : undefined,
  )
  expect(await figure(running, 'varve_drill_failing{store="default"}')).toBe(1)
  expect(await figure(running, 'varve_drills_total{store="default",result="failed"}')).toBeGreaterThan(0)
  const description = (await (await fetch(`${running.http}/v1/describe`)).json()) as {
    readonly stores: readonly {
      readonly lastDrill: { readonly passed: boolean; readonly damage: string[] }
    }[]
  }
  expect(description.stores[0]!.lastDrill).toMatchObject({ passed: false, failsReadiness: true })
  expect(description.stores[0]!.lastDrill.damage.join()).toContain(pack)
  expect(await (await fetch(running.http)).text()).toContain(pack)
  const client = new RawClient(running.grpc)
  expect(await client.get(bytes("k1"))).toEqual(Buffer.alloc(VALUE_BYTES, "1 "))
  client.close()

  // Whatever starts again: what the last drill found is known, long before the next one is due.
  await running.kill("SIGTERM")
  const again = await running.restart({ flags: ["--partitions", "2", "--drill-every", "1d"] })
  daemon = again
  expect(await ready(again)).toEqual([503, "cannot be restored, by the last drill: default\n"])
  expect(await health(again.grpc)).toBe(ServingStatus.NOT_SERVING)
  expect(await figure(again, 'varve_drill_failing{store="default"}')).toBe(1)
  expect(await figure(again, 'varve_drill_interval_seconds{store="default"}')).toBe(24 * 60 * 60)
  const since = await figure(again, 'varve_drill_unproven_since_timestamp_seconds{store="default"}')
  expect(since).toBeGreaterThanOrEqual(verified)
  expect(await figure(again, 'varve_snapshot_last_verified_version{store="default"}')).toBe(7)
  expect(again.log.some(({ event }) => event.startsWith("drill-"))).toBe(false)

  await flip(again)
  expect(await runVarveHere(["drill", "--address", again.grpc])).toMatchObject({ code: 0 })
  expect(await ready(again)).toEqual([200, "ok\n"])
  await until("SERVING", async () =>
    (await health(again.grpc)) === ServingStatus.SERVING ? true : undefined,
  )
  expect(await figure(again, 'varve_drill_failing{store="default"}')).toBe(0)
})

test("drills on request: damage is an answer, no reason not to be ready unless it is set so, and healed by the next version", async () => {
  daemon = await startDaemon({ flags: ["--partitions", "2", "--engine", "lsm-tree"] })
  const running = daemon
  const drill = ["drill", "--address", running.grpc]
  expect(await runVarveHere(drill)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("no version") as string,
  })
  const client = new RawClient(running.grpc)
  for (let i = 0; i < KEYS; i++) await client.set(bytes(`k${i}`), Buffer.alloc(VALUE_BYTES, `${i} `))
  await client.snapshot(7)
  const passed = await runVarveHere(drill)
  expect(passed).toMatchObject({ code: 0, stderr: "" })
  expect(passed.stdout.toString()).toMatch(
    /^version 7 can be restored: first answer after .* complete after /,
  )
  const pack = await flip(running)
  const failed = await runVarveHere([...drill, "--json"])
  expect(failed.code).toBe(5)
  const answer = JSON.parse(failed.stdout.toString()) as { readonly damage: string[] }
  expect(answer).toMatchObject({ passed: false, failsReadiness: false })
  expect(answer.damage.join()).toContain(pack)
  expect(await ready(running)).toEqual([200, "ok\n"])
  expect(await health(running.grpc)).toBe(ServingStatus.SERVING)
  // What is damaged there is whole here.
  await client.snapshot(8)
  client.close()
  expect(await runVarveHere(drill)).toMatchObject({ code: 0 })
  const verify = ["snapshots", "verify", "--repository", `file:${join(running.directory, "data/repository")}`]
  expect((await runVarveHere([...verify, "8"])).code).toBe(0)
  // Both versions list the same runs, of which one copy is damaged.
  const all = await runVarveHere(verify)
  expect(all.code).toBe(5)
  expect(all.stdout.toString()).toContain(pack)
})
