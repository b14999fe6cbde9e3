// The wrapper around handlers, on a real server and client: whatever a handler does, the process lives and the
// caller gets a whole answer.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2"
import { Client, credentials, Server, ServerCredentials, type ServiceError, status } from "@grpc/grpc-js"
import { EngineError } from "@varve/engines"
import { VarveError, varveErrorOf } from "@varve/proto"
import { Registry } from "prom-client"
import { afterAll, beforeAll, test, vi } from "vitest"
import { type LogLine, logTo } from "../log.ts"
import { CallMetrics } from "../metrics/call-metrics.ts"
import { familiesOf } from "../metrics/families.ts"
import { AnswerPaces } from "./answer-pace.ts"
import { Arrivals } from "./arrival.ts"
import { CallGuard, guardCalls } from "./call-guard.ts"
import { STATUS_TEXT_BYTES_MAX } from "./failure.ts"
import { duplexStream, unary } from "./handlers.ts"
import { Inflight } from "./inflight.ts"
import { Looks } from "./looks.ts"
import { CALL_BYTES, OpenCalls } from "./open-calls.ts"

const text = {
  serialize: (value: string) => Buffer.from(value),
  deserialize: (bytes: Buffer) => bytes.toString(),
}
const method = (name: string, isStream: boolean) => ({
  path: `/test.Test/${name}`,
  requestStream: isStream,
  responseStream: isStream,
  requestSerialize: text.serialize,
  requestDeserialize: text.deserialize,
  responseSerialize: text.serialize,
  responseDeserialize: text.deserialize,
})
const service = { call: method("Call", false), stream: method("Stream", true), held: method("Held", true) }

const misdeeds: Readonly<Record<string, () => unknown>> = {
  engine: () => {
    throw new EngineError("VERSION_NOT_ASCENDING", "version 3 is not above 7")
  },
  server: () => {
    throw new VarveError("WRONG_PARTITION", "not here", { metadata: { partition: "2" } })
  },
  surrogate: () => {
    throw new VarveError("REQUEST_INVALID", "half a pair: \ud800")
  },
  long: () => {
    throw new VarveError("REQUEST_INVALID", "é".repeat(100_000))
  },
  bug: () => {
    throw new TypeError("undefined is not a secret")
  },
  text: () => {
    throw "a string"
  },
  nothing: () => {
    throw undefined
  },
}

const lines: LogLine[] = []
const log = logTo((line) => lines.push(line))
const registry = new Registry()
const admission = { open: true }
const ARRIVING_BYTES_MAX = 100_000
const WAIT_MS = 300
const CALLS_MAX = 8
/** What a message that waits counts, however small it is. */
const MESSAGE_BYTES_LEAST = 512
const arriving = new Inflight(ARRIVING_BYTES_MAX)
let isShort = false
const looks = { ofArrivals: new Looks(WAIT_MS), ofAnswers: new Looks(2 ** 30) }
const host = {
  log,
  paces: new AnswerPaces(looks.ofAnswers, () => isShort),
  metrics: new CallMetrics(registry, [service]),
  admission,
  inflight: new Inflight(1024 * 1024),
  arrivals: new Arrivals(arriving, looks.ofArrivals),
  openCalls: new OpenCalls(CALLS_MAX * CALL_BYTES),
}
let server: Server
let client: Client
let port: number
/** Of the latest call of `held`, which answers the first message and then reads no more. */
let heldGuard: CallGuard | undefined

beforeAll(async () => {
  server = new Server({ interceptors: [guardCalls(host)] })
  server.addService(service, {
    call: unary<string, string>(log, (request) => {
      const [when, what] = request.split(" ") as [string, string]
      const misdeed = misdeeds[what]
      if (misdeed === undefined) return request
      return when === "later" ? Promise.resolve().then(() => misdeed() as string) : (misdeed() as string)
    }),
    stream: duplexStream<string, string>(log, async (call) => {
      for await (const request of call) misdeeds[request as string]!()
    }),
    held: duplexStream<string, string>(log, async (call) => {
      await new Promise<void>((resolve) => {
        call.on("cancelled", resolve)
        call.once("data", () => {
          heldGuard = CallGuard.of(call.metadata)
          heldGuard?.pauseReading()
          for (let answer = 0; answer < 3; answer++) call.write("a".repeat(200_000))
        })
      })
    }),
  })
  port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { "grpc.enable_http_proxy": 0 })
})

afterAll(() => {
  client.close()
  server.forceShutdown()
  for (const each of Object.values(looks)) each.close()
})

function call(request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      service.call.path,
      text.serialize,
      text.deserialize,
      request,
      (error, response) => (error === null ? resolve(response!) : reject(error)),
    )
  })
}

async function failure(request: string): Promise<ServiceError> {
  const [result] = await Promise.allSettled([call(request)])
  if (result.status === "fulfilled") throw new Error(`${request} succeeded`)
  return result.reason as ServiceError
}

test.each(["now", "later"])(
  "thrown %s: an error that is known arrives with code, reason and metadata",
  async (when) => {
    const engine = varveErrorOf(await failure(`${when} engine`))
    deepStrictEqual([engine.code, engine.reason], [status.FAILED_PRECONDITION, "VERSION_NOT_ASCENDING"])
    ok(engine.message.includes("version 3 is not above 7"))
    const wrong = varveErrorOf(await failure(`${when} server`))
    deepStrictEqual([wrong.reason, wrong.metadata], ["WRONG_PARTITION", { partition: "2" }])
  },
)

test.each(["now", "later"])("thrown %s: texts arrive well-formed and short", async (when) => {
  strictEqual((await failure(`${when} surrogate`)).details, "half a pair: \ufffd")
  const { details } = await failure(`${when} long`)
  strictEqual(details, "é".repeat(STATUS_TEXT_BYTES_MAX / 2))
})

test.each(["bug", "text", "nothing"])(
  "%s: what nobody foresaw is INTERNAL with an incident that is logged",
  async (what) => {
    for (const when of ["now", "later"]) {
      lines.length = 0
      const error = varveErrorOf(await failure(`${when} ${what}`))
      strictEqual(error.code, status.INTERNAL)
      ok(!error.message.includes("secret"))
      const [line] = lines
      strictEqual(line?.event, "internal-error")
      strictEqual(line.fields?.["incident"], error.metadata["incident"])
    }
  },
)

test("a stream's handler that throws ends that stream only", async () => {
  for (const what of Object.keys(misdeeds)) {
    const stream = client.makeBidiStreamRequest(service.stream.path, text.serialize, text.deserialize)
    const error = await new Promise<ServiceError>((resolve) => {
      stream.on("error", resolve)
      stream.on("data", () => undefined)
      stream.write(what)
    })
    ok(error.code !== status.OK)
  }
  strictEqual(await call("still here"), "still here")
})

test("calls and their codes are counted", async () => {
  await call("counted well")
  const families = await familiesOf(registry)
  const { samples, values } = families.find(({ name }) => name === "grpc_server_handled_total")!
  const handled = (code: string): number =>
    values[samples.findIndex((sample) => sample.endsWith(`grpc_method="Call",grpc_code="${code}"}`))]!
  ok(handled("OK") >= 1)
  ok(handled("Internal") >= 6)
  ok(handled("FailedPrecondition") >= 2)
  strictEqual(handled("DataLoss"), 0)
})

test("while the daemon goes down new calls are told so", async () => {
  admission.open = false
  const error = varveErrorOf(await failure("late"))
  admission.open = true
  deepStrictEqual([error.code, error.reason, error.retryable], [status.UNAVAILABLE, "SHUTTING_DOWN", true])
})

/** A call by hand: what a well-behaved client would not do. */
function rawCall(session: ClientHttp2Session, path: string = service.call.path): ClientHttp2Stream {
  return session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  })
}

/** The first `sentBytes` of a message of `bytes`. */
function beginning(bytes: number, sentBytes: number): Buffer {
  const frame = Buffer.alloc(5 + sentBytes, "a")
  frame.writeUInt8(0, 0)
  frame.writeUInt32BE(bytes, 1)
  return frame
}

async function until(condition: () => boolean): Promise<void> {
  await vi.waitUntil(condition, { timeout: 30_000, interval: 2 })
}

/** Resolves the status of the call when it is told. */
function statusOfCall(stream: ClientHttp2Stream): Promise<unknown> {
  return new Promise((resolve) => stream.on("response", (headers) => resolve(headers["grpc-status"])))
}

test("a request that does not come is given up, with and without a beginning", async () => {
  const session = connect(`http://127.0.0.1:${port}`)
  const nothing = rawCall(session)
  nothing.resume()
  strictEqual(await statusOfCall(nothing), String(status.DEADLINE_EXCEEDED))
  const part = rawCall(session)
  part.resume()
  part.write(beginning(1000, 10))
  strictEqual(await statusOfCall(part), String(status.DEADLINE_EXCEEDED))
  // Whole, but the client does not say that nothing comes behind it.
  const open = rawCall(session)
  open.resume()
  open.write(beginning(10, 10))
  await until(() => arriving.bytes > 0)
  strictEqual(await statusOfCall(open), String(status.DEADLINE_EXCEEDED))
  strictEqual(arriving.bytes, 0)
  const stream = rawCall(session, service.stream.path)
  stream.resume()
  stream.write(beginning(1000, 10))
  strictEqual(await statusOfCall(stream), String(status.DEADLINE_EXCEEDED))
  session.destroy()
})

test("a request that came while the thread was held up is not late", async () => {
  const session = connect(`http://127.0.0.1:${port}`)
  const stream = rawCall(session)
  stream.resume()
  const told = new Promise((resolve) => stream.on("trailers", (headers) => resolve(headers["grpc-status"])))
  const refused = statusOfCall(stream)
  const request = beginning(10, 10)
  stream.write(request.subarray(0, 8))
  await until(() => arriving.bytes > 0)
  stream.end(request.subarray(8))
  await new Promise((resolve) => setImmediate(resolve))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * WAIT_MS)
  strictEqual(await Promise.race([told, refused.then((code) => code ?? told)]), String(status.OK))
  session.destroy()
})

test("what the daemon does not read is not late, and a status comes to who did not take the answers before it", async () => {
  const session = connect(`http://127.0.0.1:${port}`)
  const stream = rawCall(session, service.held.path)
  const told = new Promise((resolve) => stream.on("trailers", (headers) => resolve(headers["grpc-status"])))
  stream.write(Buffer.concat([beginning(1, 1), beginning(1000, 10)]))
  await until(() => heldGuard !== undefined && arriving.bytes > 0)
  const enough = looks.ofArrivals.count + 8
  await until(() => looks.ofArrivals.count > enough)
  ok(arriving.bytes > 0)
  heldGuard?.resumeReading()
  await until(() => arriving.bytes === 0)
  stream.resume()
  strictEqual(await told, String(status.DEADLINE_EXCEEDED))
  session.destroy()
})

test("messages that wait to be read are bounded over all calls", async () => {
  const session = connect(`http://127.0.0.1:${port}`)
  const stream = rawCall(session, service.stream.path)
  stream.resume()
  // A thousand messages of five bytes.
  stream.write(Buffer.alloc(5000))
  strictEqual(await statusOfCall(stream), String(status.RESOURCE_EXHAUSTED))
  const once = rawCall(session)
  once.resume()
  once.write(Buffer.concat(Array.from({ length: 1000 }, () => beginning(1, 1))))
  strictEqual(await statusOfCall(once), String(status.INVALID_ARGUMENT))
  strictEqual(arriving.bytes, 0)
  session.destroy()
})

test("who holds more open calls than its share is refused, and nobody else", async () => {
  await until(() => host.openCalls.count === 0)
  const session = connect(`http://127.0.0.1:${port}`)
  const streams = Array.from({ length: CALLS_MAX }, () => rawCall(session, service.stream.path))
  await until(() => host.openCalls.count === CALLS_MAX)
  const refused = rawCall(session, service.stream.path)
  refused.resume()
  strictEqual(await statusOfCall(refused), String(status.RESOURCE_EXHAUSTED))
  strictEqual(await call("another connection"), "another connection")
  for (const stream of streams) stream.destroy()
  await until(() => host.openCalls.count === 0)
  strictEqual(await call("room again"), "room again")
  session.destroy()
})

test("messages that are still arriving are bounded over all calls, and whole ones go on", async () => {
  const session = connect(`http://127.0.0.1:${port}`)
  rawCall(session).write(beginning(1_000_000, 60_000))
  await until(() => arriving.bytes > 60_000)
  const second = rawCall(session)
  const answered = new Promise<unknown>((resolve) =>
    second.on("response", (headers) => resolve(headers["grpc-status"])),
  )
  second.write(beginning(1_000_000, 60_000))
  strictEqual(await answered, String(status.RESOURCE_EXHAUSTED))
  ok(arriving.bytes > 60_000 && arriving.bytes <= ARRIVING_BYTES_MAX)
  strictEqual(await call("whole"), "whole")
  session.destroy()
  await until(() => arriving.bytes === 0)
})

test("pieces of a message count for more than their bytes", async () => {
  const session = connect(`http://127.0.0.1:${port}`)
  const stream = rawCall(session)
  stream.write(beginning(1_000_000, 0))
  for (let piece = 1; piece <= 20; piece++) {
    const before = arriving.bytes
    stream.write("a")
    await until(() => arriving.bytes >= before + 100)
  }
  session.destroy()
  await until(() => arriving.bytes === 0)
})

test("when too much is arriving, a connection with less than its share is not refused", async () => {
  const greedy = connect(`http://127.0.0.1:${port}`)
  const other = connect(`http://127.0.0.1:${port}`)
  // What waits to be read is not late, so nothing of it goes while the test looks at it.
  const wait = async (session: ClientHttp2Session, messages: number): Promise<void> => {
    const before = arriving.bytes
    rawCall(session, service.held.path).write(Buffer.alloc(messages * 6, beginning(1, 1)))
    await until(() => arriving.bytes > before + (messages - 3) * MESSAGE_BYTES_LEAST)
  }
  await wait(greedy, 80)
  await wait(greedy, 80)
  await wait(other, 60)
  ok(arriving.bytes > ARRIVING_BYTES_MAX)
  const more = rawCall(greedy)
  more.resume()
  more.write(beginning(1000, 10))
  strictEqual(await statusOfCall(more), String(status.RESOURCE_EXHAUSTED))
  for (const session of [greedy, other]) session.destroy()
  await until(() => arriving.bytes === 0)
})

test("an answer that nobody takes is in flight until its call is over", async () => {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } })
  rawCall(session).end(beginning(50_000, 50_000))
  await until(() => host.inflight.bytes >= 50_000)
  session.destroy()
  await until(() => host.inflight.bytes === 0)
  await call("taken")
  await until(() => host.inflight.bytes === 0)
})

test("a stream whose answers nobody takes is ended when space is short", async () => {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } })
  const stream = rawCall(session, service.held.path)
  const closed = new Promise<number | undefined>((resolve) =>
    stream.once("close", () => resolve(stream.rstCode)),
  )
  stream.on("error", () => undefined)
  stream.write(beginning(5, 5))
  await new Promise((resolve) => stream.once("response", resolve))
  for (let look = 0; look < 10; look++) looks.ofAnswers.look()
  ok(!stream.closed)
  isShort = true
  looks.ofAnswers.look()
  isShort = false
  strictEqual(await closed, constants.NGHTTP2_ENHANCE_YOUR_CALM)
  strictEqual(lines.at(-1)?.event, "answers-not-taken")
  session.destroy()
})
