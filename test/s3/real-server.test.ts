// A real S3 server: the suite of object stores, creators that race, and a daemon that comes back from a bucket.

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3"
import { openProvenObjectStore, S3ObjectStore, s3Limits, systemSeams } from "@varve/engines/internal"
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { bytes, describeObjectStore, keys } from "../io/object-store-suite.ts"
import { startDaemon, type TestDaemon } from "../server/daemon.ts"
import { RawClient } from "../server/raw-client.ts"
import { useCredentials } from "./credentials.ts"
import { type RadosGateway, startRadosGateway } from "./rados-gateway.ts"

/** Long enough to install the server's packages. */
const START_MS = 600_000
const BUCKET = "varve-test"

let gateway: RadosGateway
const seams = systemSeams({ threads: 1 })

beforeAll(async () => {
  gateway = await startRadosGateway()
}, START_MS)
useCredentials(() => gateway.environment)
beforeAll(async () => {
  const client = new S3Client({
    endpoint: gateway.endpoint,
    region: "us-east-1",
    forcePathStyle: true,
  })
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
  client.destroy()
})
afterAll(async () => {
  await seams.close()
  await gateway.stop()
})

let placeCount = 0

function urlOf(prefix: string): string {
  return `s3://${BUCKET}/${prefix}?endpoint=${gateway.endpoint}`
}

async function open(prefix: string): Promise<S3ObjectStore> {
  const store = await S3ObjectStore.open(urlOf(prefix), seams)
  onTestFinished(() => store.close())
  return store
}

describeObjectStore("S3ObjectStore on a real server", () => {
  const prefix = `place-${++placeCount}`
  return { open: () => open(prefix) }
})

test("a pack of 32 MiB is written and read back, whole and in ranges", async () => {
  const store = await open("large")
  const parts = Array.from({ length: 32 }, (_, i) => new Uint8Array(1024 * 1024).fill(i))
  expect(await store.create("pack", parts)).toBe(true)
  expect(Buffer.compare((await store.get("pack"))!, Buffer.concat(parts))).toBe(0)
  const range = await store.get("pack", { offset: 1024 * 1024 - 1, bytes: 2 })
  expect(range).toEqual(new Uint8Array([0, 1]))
  expect(await store.create("pack", parts)).toBe(false)
})

test("a listing longer than a page has all objects", async () => {
  const store = await S3ObjectStore.open(urlOf("pages"), seams, { ...s3Limits, pageObjects: 9 })
  onTestFinished(() => store.close())
  const all = Array.from({ length: 40 }, (_, i) => `n/${String(i).padStart(4, "0")}`)
  await Promise.all(all.map((key) => store.create(key, [])))
  expect(await keys(store, "n/")).toEqual(all)
})

test("the server keeps the condition, and refuses what is not allowed in words", async () => {
  const store = await openProvenObjectStore(urlOf("proven"), seams)
  onTestFinished(() => store.close())
  expect(await keys(store, "")).toEqual([])
  const nowhere = await S3ObjectStore.open(urlOf("x").replace(BUCKET, "varve-nowhere"), seams)
  onTestFinished(() => nowhere.close())
  expect(await expectReason(nowhere.get("a"), "REPOSITORY_FAILED")).toContain("no bucket varve-nowhere")
  const secret = process.env["AWS_SECRET_ACCESS_KEY"]!
  process.env["AWS_SECRET_ACCESS_KEY"] = "not this one"
  try {
    const stranger = await open("x")
    const message = await expectReason(stranger.create("a", [bytes("x")]), "REPOSITORY_FAILED")
    expect(message).toContain("credentials are not accepted")
    expect(message).not.toContain("not this one")
  } finally {
    process.env["AWS_SECRET_ACCESS_KEY"] = secret
  }
})

test("a daemon that was killed, and whose disk is gone, comes back from the bucket", async () => {
  const options = {
    flags: ["--partitions", "1", "--repository", urlOf("daemon")],
    environment: gateway.environment,
  }
  const directory = await mkdtemp(join(tmpdir(), "varve-lost-disk-"))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const first = await startDaemon({ ...options, directory })
  onTestFinished(() => first.stop())
  const writer = clientOf(first)
  const entries = Array.from({ length: 2000 }, (_, i) => [bytes(`key ${i}`), bytes(`value ${i}`)] as const)
  await writer.write(entries.map(([key, value]) => ({ key, value, flags: 0 })))
  const whole = await writer.snapshot(1, { metadata: bytes("offset 2000") })
  await writer.set(bytes("key 0"), bytes("changed"))
  const change = await writer.snapshot(2)
  expect(Number(change.bytesNew) * 10).toBeLessThan(Number(whole.bytesNew))
  await writer.set(bytes("key 1"), bytes("not in a version"))
  writer.close()
  await first.kill("SIGKILL")
  await rm(directory, { recursive: true, force: true })

  const again = await startDaemon(options)
  onTestFinished(() => again.stop())
  const reader = clientOf(again)
  const expected = entries.map(([, value], i) => (i === 0 ? "changed" : Buffer.from(value).toString()))
  expect(await valuesOf(reader, entries)).toEqual(expected)
  const restored = await reader.restore({ version: 1n })
  expect(Buffer.from(restored.metadata).toString()).toBe("offset 2000")
  expect(await valuesOf(reader, entries)).toEqual(entries.map(([, value]) => Buffer.from(value).toString()))
  expect(JSON.stringify([first.log, again.log])).not.toContain(gateway.secretKey)
})

function clientOf(daemon: TestDaemon): RawClient {
  const client = new RawClient(daemon.grpc)
  onTestFinished(() => client.close())
  return client
}

async function valuesOf(
  client: RawClient,
  entries: readonly (readonly [Uint8Array, Uint8Array])[],
): Promise<string[]> {
  const values = await client.getMany(entries.map(([key]) => key))
  return values.map((value) => (value === undefined ? "none" : Buffer.from(value).toString()))
}
