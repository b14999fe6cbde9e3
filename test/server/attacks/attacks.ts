// Attacks on a daemon, each with what makes it dear. The test runs them small, one after the other, on one daemon; the
// benchmark runs them on a daemon each and measures. The table of server/README.md has them under the same names.

import { setTimeout as sleep } from "node:timers/promises"
import { encodeKeys, GetManyRequest, PipelineRequest, UNSEQUENCED } from "@varve/proto"
import { bytes, RawClient, writes } from "../raw-client.ts"
import { frameOf } from "../raw-http2.ts"
import { type Attack, type Battlefield, callStatus, openCall } from "./attack.ts"
import { flags, frameTypes, headerBlock, http2Frame } from "./hand-made-connection.ts"

const KIB = 1024

export const repeated = (unit: Uint8Array, count: number): Buffer => Buffer.alloc(unit.length * count, unit)
const tag = (field: number, wireType: number): number => (field << 3) | wireType

export function pipelineFrame(frame: Partial<PipelineRequest>): Buffer {
  const whole = { id: 1, store: "", partition: 0, lineage: "", ...UNSEQUENCED, work: undefined, ...frame }
  return frameOf(Buffer.from(PipelineRequest.encode(whole).finish()), 0)
}

/** One request of `bytes` that is nothing but empty entries of a field. */
function bomb(name: string, method: string, number: number): Attack {
  return {
    name,
    async run(field) {
      const body = frameOf(repeated(Buffer.of(tag(number, 2), 0), Math.floor(field.requestBytes / 2)), 0)
      await callStatus(field.session(), method, body)
    },
  }
}

/** Writes until all is sent, the connection is gone or nothing is taken any more. */
async function flood(field: Battlefield, begin: Uint8Array | undefined, unit: Uint8Array): Promise<void> {
  const connection = (await field.byHand()).read()
  if (begin !== undefined) connection.write(begin)
  const batch = repeated(unit, Math.ceil((64 * KIB) / unit.length))
  for (let sent = 0; sent < field.floodBytes && !connection.isClosed; sent += batch.length) {
    await Promise.race([connection.writeAll(batch), sleep(field.patienceMs)])
  }
}

const openStreams = async (
  field: Battlefield,
  method: string,
  then: (stream: number) => Uint8Array[],
  headers: readonly (readonly [string, string])[] = [],
): Promise<void> => {
  for (let each = 0; each < field.connections; each++) {
    const connection = (await field.byHand(0)).read()
    for (let call = 0; call < field.streams; call++) {
      const { stream, bytes: head } = connection.call(method, headers)
      await connection.writeAll(Buffer.concat([head, ...then(stream)]))
    }
  }
}

/** One request in HTTP/1.1, sent again and again without waiting. */
function pipelined(name: string, path: string): Attack {
  return {
    name,
    async run(field) {
      const socket = field.http()
      socket.pause()
      socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(field.streams * 20))
      await sleep(field.patienceMs)
    },
  }
}

export const attacks: readonly Attack[] = [
  bomb("a write of millions of empty records", "Write", 3),
  bomb("a write of millions of empty conditions", "Write", 4),
  bomb("a read of millions of empty keys", "GetMany", 2),
  bomb("a snapshot with a map of millions of entries", "Snapshot", 5),
  bomb("millions of unknown fields", "Get", 15),
  {
    name: "millions of nested groups",
    async run(field) {
      await callStatus(field.session(), "Get", frameOf(Buffer.alloc(field.requestBytes, tag(15, 3)), 0))
    },
  },
  {
    name: "one large value, asked for a thousand times in one read",
    async run(field) {
      const client = new RawClient(field.target.grpc)
      await client.set(bytes("large"), Buffer.alloc(field.valueBytes, 1))
      client.close()
      const keys = Array.from({ length: 1000 }, () => bytes("large"))
      const request = GetManyRequest.encode({ store: "", keys, partition: undefined }).finish()
      await callStatus(field.session(), "GetMany", frameOf(Buffer.from(request), 0))
    },
  },
  {
    name: "a frame of millions of tiny keys",
    async run(field) {
      const list = repeated(Buffer.from(encodeKeys([bytes("a")])), Math.floor((field.requestBytes - KIB) / 4))
      const call = openCall(field.session(), "Pipeline")
      call.resume()
      call.write(pipelineFrame({ work: { $case: "reads", value: list } }))
      await new Promise((resolve) => call.once("data", resolve))
    },
  },
  {
    name: "a frame of millions of tiny records",
    async run(field) {
      const one = Buffer.from(writes(["a", "v"]).value)
      const list = repeated(one, Math.floor((field.requestBytes - KIB) / one.length))
      const call = openCall(field.session(), "Pipeline")
      call.resume()
      call.write(pipelineFrame({ work: { $case: "writes", value: list } }))
      await new Promise((resolve) => call.once("data", resolve))
    },
  },
  {
    name: "many empty messages on many streams",
    run: (field) =>
      openStreams(field, "Pipeline", (stream) =>
        [1, 2, 3, 4].map(() => http2Frame(frameTypes.data, flags.none, stream, Buffer.alloc(16_000))),
      ),
  },
  {
    name: "many empty messages on unary calls",
    run: (field) =>
      openStreams(field, "GetMany", (stream) =>
        [1, 2, 3, 4].map(() => http2Frame(frameTypes.data, flags.none, stream, Buffer.alloc(16_000))),
      ),
  },
  { name: "many calls that say nothing", run: (field) => openStreams(field, "Pipeline", () => []) },
  {
    name: "many calls with large headers",
    run: (field) =>
      openStreams(
        field,
        "Pipeline",
        () => [],
        Array.from({ length: 60 }, (_, index) => [`x-${index}`, "v".repeat(200)] as const),
      ),
  },
  {
    name: "requests that are never whole",
    async run(field) {
      const session = field.session()
      for (let each = 0; each < field.streams; each++) {
        const call = openCall(session, "Set")
        const head = Buffer.alloc(5)
        head.writeUInt32BE(field.requestBytes / 8, 1)
        call.write(head)
        call.write(Buffer.alloc(field.requestBytes / 8 - 1))
      }
      await sleep(field.patienceMs)
    },
  },
  {
    name: "answers that are never taken: errors",
    async run(field) {
      const session = field.session(0)
      const frames = repeated(pipelineFrame({ store: "x".repeat(900) }), 50)
      for (let each = 0; each < field.streams; each++) {
        const call = openCall(session, "Pipeline")
        for (let sent = 0; sent < 20; sent++) call.write(frames)
      }
      await sleep(2 * field.patienceMs)
    },
  },
  {
    name: "answers that are never taken: scans",
    async run(field) {
      const client = new RawClient(field.target.grpc)
      for (let each = 0; each < 40; each++) {
        await client.set(bytes(`scanned-${each}`), Buffer.alloc(field.valueBytes / 5, 1))
      }
      client.close()
      for (let each = 0; each < field.connections; each++) {
        const session = field.session(0)
        for (let call = 0; call < field.streams; call++)
          openCall(session, "Scan").end(frameOf(Buffer.alloc(0), 0))
      }
      await sleep(2 * field.patienceMs)
    },
  },
  {
    name: "answers that are never taken: reflection",
    async run(field) {
      const question = frameOf(Buffer.concat([Buffer.of(0x22, 21), bytes("varve.v1.StateBackend")]), 0)
      const session = field.session(0)
      for (let each = 0; each < field.streams; each++) {
        const call = openCall(session, "ServerReflectionInfo", "grpc.reflection.v1.ServerReflection")
        call.write(repeated(question, 500))
      }
      await sleep(2 * field.patienceMs)
    },
  },
  {
    name: "calls opened and reset at once",
    async run(field) {
      const connection = (await field.byHand()).read()
      for (let sent = 0; sent < field.floodBytes && !connection.isClosed; ) {
        const parts: Buffer[] = []
        for (let each = 0; each < 200; each++) {
          const { stream, bytes: head } = connection.call("Get")
          parts.push(head, connection.reset(stream))
        }
        const batch = Buffer.concat(parts)
        sent += batch.length
        if ((await Promise.race([connection.writeAll(batch), sleep(field.patienceMs, "stuck")])) === "stuck")
          break
      }
    },
  },
  ...(
    [
      ["unknown calls, reset at once", "Nope", []],
      ["calls of another content type, reset at once", "Get", [["content-type", "text/plain"]]],
      ["compressed calls, reset at once", "Get", [["grpc-encoding", "gzip"]]],
      ["calls without a sound timeout, reset at once", "Get", [["grpc-timeout", "soon"]]],
    ] as const
  ).map(([name, method, headers]) => ({
    name,
    async run(field: Battlefield) {
      const connection = (await field.byHand()).read()
      const parts: Buffer[] = []
      for (let each = 0; each < field.streams; each++) {
        const { stream, bytes: head } = connection.call(method, headers)
        parts.push(head, connection.reset(stream))
      }
      await connection.writeAll(Buffer.concat(parts))
      await sleep(field.patienceMs / 5)
    },
  })),
  {
    name: "a flood of pings",
    run: (field) => flood(field, undefined, http2Frame(frameTypes.ping, flags.none, 0, Buffer.alloc(8))),
  },
  {
    name: "a flood of settings",
    run: (field) => flood(field, undefined, http2Frame(frameTypes.settings, flags.none, 0, Buffer.alloc(0))),
  },
  {
    name: "headers that never end",
    run: (field) =>
      flood(
        field,
        http2Frame(frameTypes.headers, flags.none, 1, headerBlock([[":method", "POST"]])),
        http2Frame(frameTypes.continuation, flags.none, 1, headerBlock([["x-a", "b"]])),
      ),
  },
  {
    name: "a flood of empty data",
    run: (field) =>
      flood(
        field,
        http2Frame(
          frameTypes.headers,
          flags.endHeaders,
          1,
          headerBlock([
            [":method", "POST"],
            [":path", "/varve.v1.StateBackend/Pipeline"],
            [":scheme", "http"],
            ["content-type", "application/grpc"],
          ]),
        ),
        http2Frame(frameTypes.data, flags.none, 1, Buffer.alloc(0)),
      ),
  },
  {
    name: "many sockets with one byte each",
    async run(field) {
      for (let each = 0; each < field.connections * 10; each++) {
        const connection = await field.silent()
        connection.write(Buffer.from("P"))
      }
    },
  },
  pipelined("HTTP requests sent without waiting", "/v1/describe"),
  pipelined("HTTP requests of figures sent without waiting", "/metrics"),
  {
    name: "HTTP bodies that never end",
    async run(field) {
      for (let each = 0; each < field.streams; each++) {
        const socket = field.http()
        socket.write(
          "POST /v1/gc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2000000\r\n\r\n",
        )
        socket.write(Buffer.alloc(Math.min(1_999_999, field.requestBytes), " "))
      }
      await sleep(field.patienceMs)
    },
  },
]
