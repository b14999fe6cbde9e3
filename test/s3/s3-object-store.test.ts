// S3ObjectStore against a server that loses answers, refuses, cuts bodies and ignores conditions.

import {
  NodeFileSystem,
  openProvenObjectStore,
  proveObjectStore,
  RequestFigures,
  type S3Limits,
  S3ObjectStore,
  SystemClock,
  SystemRandom,
  s3Limits,
} from "@varve/engines/internal"
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { bytes, describeObjectStore, keys, text } from "../io/object-store-suite.ts"
import { useCredentials } from "./credentials.ts"
import { type Fault, ScriptedS3 } from "./scripted-s3.ts"
import { SteppingClock } from "./stepping-clock.ts"

const PAGE_OBJECTS = 7
const LOST: Fault = { is: "lost" }
const SLOW_DOWN: Fault = { is: "refused", status: 503, code: "SlowDown" }
const seams = { clock: new SystemClock(), random: new SystemRandom(), fileSystem: new NodeFileSystem() }

useCredentials(() => ({ AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "hidden-word" }))

let server: ScriptedS3
let placeCount = 0

beforeAll(async () => {
  server = await ScriptedS3.start(PAGE_OBJECTS)
})
afterAll(() => server.stop())
beforeEach(() => server.reset())

function urlOf(prefix: string, more = ""): string {
  return `s3://${server.bucket}/${prefix}?endpoint=${server.endpoint}${more}`
}

/** A store below a prefix of its own, whose pauses take no time. */
async function setUp({ limits = {}, more = "" }: { limits?: Partial<S3Limits>; more?: string } = {}) {
  const clock = new SteppingClock(s3Limits.attemptMs)
  const url = urlOf(`place-${++placeCount}`, more)
  const requests = new RequestFigures()
  const reached = { clock, random: seams.random, requests }
  const store = await S3ObjectStore.open(url, reached, { ...s3Limits, ...limits })
  onTestFinished(() => store.close())
  return { store, clock, url, requests }
}

/** `fault` for the first `count` requests of `method`. */
function first(method: string, count: number, fault: Fault): void {
  server.script = (request) => (request.method === method && request.count <= count ? fault : undefined)
}

describeObjectStore("S3ObjectStore on a scripted server", () => {
  const prefix = `place-${++placeCount}`
  return {
    open: async () => {
      const store = await S3ObjectStore.open(urlOf(prefix), seams)
      onTestFinished(() => store.close())
      return store
    },
  }
})

describe("create, when answers get lost", () => {
  test("an object whose answer was lost is known again by the next attempt", async () => {
    const { store } = await setUp()
    first("PUT", 1, LOST)
    expect(await store.create("a", [bytes("mine")])).toBe(true)
    expect([server.count("PUT", "/a"), server.count("HEAD", "/a")]).toEqual([2, 1])
    expect(await text(store, "a")).toBe("mine")
  })

  test("somebody else's object is not taken for one's own, whatever was lost before", async () => {
    const { store } = await setUp()
    expect(await store.create("a", [bytes("same")])).toBe(true)
    server.script = ({ method, count }) => (method === "PUT" && count === 2 ? { is: "reset" } : undefined)
    expect(await store.create("a", [bytes("same")])).toBe(false)
    expect([server.count("PUT", "/a"), server.count("HEAD", "/a")]).toEqual([3, 1])
  })

  test("one that loses its answer against another creator has not won", async () => {
    const { store, url } = await setUp()
    const other = await S3ObjectStore.open(url, seams)
    onTestFinished(() => other.close())
    let othersWon: Promise<boolean> | undefined
    server.script = ({ method, count }) => {
      if (method !== "PUT" || count > 1) return undefined
      othersWon = other.create("a", [bytes("other's")])
      return { is: "reset" }
    }
    const won = await store.create("a", [bytes("mine")])
    expect([won, await othersWon]).toContain(true)
    expect(won).not.toBe(await othersWon)
    expect(await text(store, "a")).toBe(won ? "mine" : "other's")
  })

  test("an object that is there at the first attempt is one's own when a proxy sent it twice", async () => {
    const { store } = await setUp()
    first("PUT", 1, { is: "doubled" })
    expect(await store.create("a", [bytes("first")])).toBe(true)
    expect(await store.create("a", [bytes("second")])).toBe(false)
    expect([server.count("PUT", "/a"), server.count("HEAD")]).toEqual([2, 2])
    expect(await text(store, "a")).toBe("first")
  })

  test("a large object is sent in its parts, also again", async () => {
    const { store } = await setUp()
    const parts = Array.from({ length: 40 }, (_, i) => new Uint8Array(100_003).fill(i))
    first("PUT", 1, LOST)
    expect(await store.create("large", parts)).toBe(true)
    expect(Buffer.compare((await store.get("large"))!, Buffer.concat(parts))).toBe(0)
  })
})

describe("attempts", () => {
  test.each<[string, Fault]>([
    ["409", { is: "refused", status: 409, code: "ConditionalRequestConflict" }],
    ["500", { is: "refused", status: 500, code: "InternalError" }],
    ["503", SLOW_DOWN],
    ["408 as 400", { is: "refused", status: 400, code: "RequestTimeout" }],
    ["a reset", { is: "reset" }],
  ])("after %s there is another one", async (_, fault) => {
    for (const [i, method] of (["PUT", "GET", "DELETE"] as const).entries()) {
      const { store, clock } = await setUp()
      const key = `k${i}`
      first(method, 2, fault)
      expect(await store.create(key, [bytes("x")])).toBe(true)
      expect(await text(store, key)).toBe("x")
      await store.remove(key)
      expect(await store.get(key)).toBeUndefined()
      expect(clock.pauses.length).toBeGreaterThanOrEqual(2)
    }
  })

  test("after an answer of somebody else on the way there is another one, and it is not believed", async () => {
    const { store } = await setUp()
    server.script = ({ count }) => (count > 1 ? undefined : { is: "page" })
    expect(await store.create("a", [bytes("x")])).toBe(true)
    expect(await keys(store, "")).toEqual(["a"])
    expect(await text(store, "a")).toBe("x")
    expect([server.count("PUT"), server.count("GET")]).toEqual([2, 4])
  })

  test("pauses grow twofold, chance takes up to half of each, and each attempt after the first is counted", async () => {
    const { store, clock, requests } = await setUp({ limits: { callMs: 1_000_000 } })
    first("GET", 12, SLOW_DOWN)
    expect(await store.get("a")).toBeUndefined()
    expect(clock.pauses).toHaveLength(12)
    expect(requests.of("get").retryCount).toBe(12)
    for (const [i, pause] of clock.pauses.entries()) {
      const most = Math.min(s3Limits.pauseMaxMs, s3Limits.pauseMs * 2 ** i)
      expect(pause).toBeGreaterThanOrEqual(most / 2)
      expect(pause).toBeLessThanOrEqual(most)
    }
  })

  test("none begins when the time of the call is over", async () => {
    const { store, clock } = await setUp()
    server.script = () => SLOW_DOWN
    const message = await expectReason(store.get("a"), "REPOSITORY_FAILED")
    expect(message).toContain("SlowDown")
    expect(clock.monotonicMs()).toBeLessThan(s3Limits.callMs)
    expect(server.count("GET")).toBe(clock.pauses.length + 1)
    expect(message).toContain(`${server.count("GET")} attempts`)
  })

  test("one that is not answered is given up when its time is over", async () => {
    const { store, clock } = await setUp({ limits: { silenceMs: 600_000 } })
    await store.create("a", [bytes("x")])
    first("GET", 1, { is: "silent" })
    const found = text(store, "a")
    await vi.waitUntil(() => server.count("GET") === 1)
    clock.pass()
    expect(await found).toBe("x")
  })

  test.each<[string, number, string, string]>([
    ["AccessDenied", 403, "access is denied", "s3:GetObject on bucket/place-"],
    ["InvalidAccessKeyId", 403, "credentials are not accepted", "InvalidAccessKeyId"],
    ["SignatureDoesNotMatch", 403, "credentials are not accepted", "SignatureDoesNotMatch"],
    ["NoSuchBucket", 404, "no bucket bucket", "make it"],
    ["PermanentRedirect", 301, "another region", "AWS_REGION"],
    ["NotImplemented", 501, "NotImplemented", "501"],
  ])("after %s there is none, and the message says what to do", async (code, status, ...words) => {
    const { store } = await setUp()
    server.script = () => ({ is: "refused", status, code })
    const message = await expectReason(store.get("a"), "REPOSITORY_FAILED")
    for (const word of words) expect(message).toContain(word)
    expect(message).not.toContain("hidden-word")
    expect(server.count("GET")).toBe(1)
  })

  test("a store without room is STORAGE_FULL", async () => {
    const { store } = await setUp()
    server.script = () => ({ is: "refused", status: 403, code: "QuotaExceeded" })
    await expectReason(store.create("a", [bytes("x")]), "STORAGE_FULL")
  })
})

describe("get, when bodies are not what they should be", () => {
  test.each<[string, Fault]>([
    ["cut", { is: "cut" }],
    ["too short", { is: "resized", bytes: -3 }],
    ["too long", { is: "resized", bytes: 3 }],
  ])("a range that is %s is asked for again", async (_, fault) => {
    const { store } = await setUp()
    const object = new SystemRandom().bytes(300_000)
    await store.create("a", [object])
    first("GET", 2, fault)
    const found = await store.get("a", { offset: 1000, bytes: 200_000 })
    expect(Buffer.compare(found!, object.subarray(1000, 201_000))).toBe(0)
    expect(server.count("GET")).toBe(3)
  })

  test("an error and a listing that are cut are asked for again", async () => {
    const { store } = await setUp()
    first("GET", 2, { is: "cut" })
    expect(await store.get("missing")).toBeUndefined()
    await store.create("a", [bytes("x")])
    server.script = ({ path, count }) =>
      path.startsWith(`${server.bucket}/`) || count > 1 ? undefined : { is: "cut" }
    expect(await keys(store, "")).toEqual(["a"])
    expect(server.count("GET", "/missing")).toBe(3)
  })

  test("a whole object that is cut each time fails", async () => {
    const { store } = await setUp()
    await store.create("a", [new Uint8Array(100_000)])
    server.script = ({ method }) => (method === "GET" ? { is: "cut" } : undefined)
    await expectReason(store.get("a"), "REPOSITORY_FAILED")
  })

  test("an object larger than any of this repository is not read into memory", async () => {
    const { store } = await setUp({ limits: { objectBytesMax: 1000 } })
    await store.create("a", [new Uint8Array(1001)])
    expect(await expectReason(store.get("a"), "REPOSITORY_FAILED")).toContain("1001 bytes")
    expect(await store.get("a", { offset: 1, bytes: 1000 })).toHaveLength(1000)
  })
})

describe("connections", () => {
  test("there are at most as many requests at a time as the limit says; the others wait, and none is lost", async () => {
    const { store, clock } = await setUp({ limits: { requestsMax: 3 } })
    const { store: other } = await setUp()
    await store.create("a", [bytes("x")])
    first("GET", 3, { is: "silent" })
    const found = Promise.all(Array.from({ length: 30 }, () => text(store, "a")))
    await vi.waitUntil(() => server.count("GET") === 3)
    // A fourth would arrive while another store is answered.
    await other.create("b", [])
    expect(server.count("GET")).toBe(3)
    clock.pass()
    expect(await found).toEqual(Array.from({ length: 30 }, () => "x"))
  })

  test("more waiting requests than the limit are refused", async () => {
    const { store } = await setUp({ limits: { requestsMax: 1, waitingMax: 2 } })
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => store.get("a")))
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
    ])
  })

  test.each<[string, (store: S3ObjectStore) => Promise<unknown>]>([
    ["a read", (store) => store.get("silent")],
    // A large body has a connection of its own until the server asks for it.
    ["a large write", (store) => store.create("silent", [new Uint8Array(3_000_000), new Uint8Array(1)])],
  ])("close ends %s that is under way, and leaves no connection", async (_, call) => {
    const { store } = await setUp({ limits: { silenceMs: 600_000 } })
    await Promise.all(["a", "b", "c"].map((key) => store.get(key)))
    server.script = ({ path }) => (path.endsWith("silent") ? { is: "silent" } : undefined)
    const ended = expectReason(call(store), "REPOSITORY_FAILED")
    await vi.waitUntil(() => server.requests.some(({ path }) => path.endsWith("silent")))
    await store.close()
    expect(await ended).toContain("closed")
    await vi.waitUntil(async () => (await server.connections()) === 0, { timeout: 20_000 })
    expect(await expectReason(store.list(""), "REPOSITORY_FAILED")).toContain("closed")
  })
})

describe("a store with several writers", () => {
  test("is opened when it keeps the condition, and nothing is left of the question", async () => {
    const store = await openProvenObjectStore(urlOf("proven"), seams)
    onTestFinished(() => store.close())
    expect(server.count("PUT")).toBe(2)
    expect(await keys(store, "")).toEqual([])
  })

  test("is refused when it ignores the condition, unless the URL says that there is one writer", async () => {
    server.ignoresConditions = true
    const message = await expectReason(openProvenObjectStore(urlOf("ignores"), seams), "REPOSITORY_FAILED")
    expect(message).toContain("If-None-Match")
    expect(message).toContain("writers=one")
    expect(server.objects.size).toBe(0)
    const store = await openProvenObjectStore(urlOf("ignores", "&writers=one"), seams)
    onTestFinished(() => store.close())
    expect(await store.create("a", [bytes("first")])).toBe(true)
    expect(await store.create("a", [bytes("second")])).toBe(false)
    expect(await text(store, "a")).toBe("first")
  })

  test("with one writer the object is asked for until there is an answer", async () => {
    const { store } = await setUp({ more: "&writers=one" })
    server.ignoresConditions = true
    await store.create("a", [bytes("first")])
    server.script = ({ method, count }) => (method === "HEAD" && count === 2 ? SLOW_DOWN : undefined)
    expect(await store.create("a", [bytes("second")])).toBe(false)
    expect(await text(store, "a")).toBe("first")
  })

  test("with one writer, too, an object whose answer was lost is known again", async () => {
    const { store } = await setUp({ more: "&writers=one" })
    server.ignoresConditions = true
    first("PUT", 1, LOST)
    expect(await store.create("a", [bytes("mine")])).toBe(true)
  })

  test("is refused when it does not list what was just created", async () => {
    const { store } = await setUp()
    server.hidden = () => true
    const message = await expectReason(proveObjectStore(store, seams.random), "REPOSITORY_FAILED")
    expect(message).toContain("does not list")
    expect(server.objects.size).toBe(0)
  })

  test("is refused when it shows what was just removed", async () => {
    const { store } = await setUp()
    server.keepsRemoved = true
    const message = await expectReason(proveObjectStore(store, seams.random), "REPOSITORY_FAILED")
    expect(message).toContain("removed")
  })
})
