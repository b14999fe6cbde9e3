// gRPC on HTTP/2 by hand, for a client that offers a daemon more than it can take and takes little of the machine for it:
// every request is a copy of one that was encoded once, and of what comes back only streams, lengths and statuses are
// read. It keeps to what a client library keeps to: the daemon's bound on open calls and its windows. What has no room
// yet waits here, and is given up at its deadline as a library does it.
//
//   request  ── room? ── sent ── answered | refused | reset
//                └── waits ── its deadline passes: given up, nothing of it was sent
//
// Answers are told apart without a header table (its size is set to 0): `grpc-status` is then always spelt the same.

import { connect, type Socket } from "node:net"
import { flags, frameTypes, headerBlock, http2Frame } from "./attacks/hand-made-connection.ts"
import { requestHeaders } from "./raw-http2.ts"

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
const FRAME_HEAD_BYTES = 9
const MESSAGE_HEAD_BYTES = 5
const END_STREAM = flags.endStream
const settings = { headerTableBytes: 1, callsMax: 3, windowBytes: 4 } as const
const WINDOW_BYTES = 0x7fff_ffff
const INITIAL_WINDOW_BYTES = 65_535
const WINDOW_REFILL_BYTES = 1 << 28
/** The name `grpc-status` in the Huffman code of RFC 7541, with its length. */
const STATUS_NAME = Buffer.from("889acac8b21234da8f", "hex")
const TIMEOUT_DIGITS = 6
const CANCEL = 8
const RESOURCE_EXHAUSTED = 8
const UNAVAILABLE = 14
const ENHANCE_YOUR_CALM = 11

/** What became of a request. `code` is a gRPC status; of a reset stream what gRPC takes it for. */
export type Told = (request: number, code: number) => void

/** One connection; frames gather until `flush`. */
export abstract class LoadConnection {
  readonly #socket: Socket
  readonly #parts: Buffer[] = []
  #rest: Buffer = Buffer.alloc(0)
  #readBytes = 0
  #isOver = false
  protected callsMax = 100
  protected windowBytes = INITIAL_WINDOW_BYTES
  protected streamWindowBytes = INITIAL_WINDOW_BYTES

  protected constructor(address: string) {
    const [host, port] = address.split(":")
    this.#socket = connect({ host: host!, port: Number(port), noDelay: true })
    // Being cut off shows as requests without an answer.
    this.#socket.on("error", () => undefined)
    this.#socket.once("close", () => {
      this.#isOver = true
    })
    this.#socket.on("data", (part) => this.#take(part))
    const own = Buffer.alloc(12)
    own.writeUInt16BE(settings.headerTableBytes, 0)
    own.writeUInt16BE(settings.windowBytes, 6)
    own.writeUInt32BE(WINDOW_BYTES, 8)
    this.send(Buffer.from(PREFACE), http2Frame(frameTypes.settings, flags.none, 0, own))
    this.#openWindow(WINDOW_BYTES - INITIAL_WINDOW_BYTES)
  }

  /** Whether the daemon wants no more of it: what is under way will have no answer. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Begins `request` when there is room. @returns whether it was sent */
  abstract begin(request: number, timeoutMs: number): boolean

  /** Nobody waits for `request` any more. */
  abstract giveUp(request: number): void

  flush(): void {
    if (this.#parts.length > 0) this.#socket.write(Buffer.concat(this.#parts.splice(0)))
  }

  close(): void {
    this.#isOver = true
    this.#socket.destroy()
  }

  protected send(...parts: readonly Buffer[]): void {
    this.#parts.push(...parts)
  }

  protected abstract onData(stream: number, bytes: Buffer): void
  protected abstract onEnd(stream: number, code: number): void

  #take(part: Buffer): void {
    const bytes = this.#rest.length === 0 ? part : Buffer.concat([this.#rest, part])
    let at = 0
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3)
      if (end > bytes.length) break
      this.#frame(bytes[at + 3]!, bytes[at + 4]!, bytes.readUInt32BE(at + 5), bytes.subarray(at + 9, end))
      at = end
    }
    this.#rest = bytes.subarray(at)
  }

  #frame(type: number, flag: number, stream: number, payload: Buffer): void {
    switch (type) {
      case frameTypes.data:
        this.#readBytes += payload.length
        if (this.#readBytes > WINDOW_REFILL_BYTES) this.#openWindow(this.#readBytes)
        this.onData(stream, payload)
        return
      case frameTypes.headers:
        if ((flag & END_STREAM) !== 0) this.onEnd(stream, statusIn(payload))
        return
      case frameTypes.reset:
        this.onEnd(stream, payload.readUInt32BE(0) === ENHANCE_YOUR_CALM ? RESOURCE_EXHAUSTED : UNAVAILABLE)
        return
      case frameTypes.windowUpdate:
        if (stream === 0) this.windowBytes += payload.readUInt32BE(0)
        else this.streamWindowBytes += payload.readUInt32BE(0)
        return
      case frameTypes.settings:
        if ((flag & flags.ack) === 0) this.#settle(payload)
        return
      case frameTypes.goAway:
        this.close()
        return
      case frameTypes.ping:
        if ((flag & flags.ack) === 0) this.send(http2Frame(frameTypes.ping, flags.ack, 0, payload))
    }
  }

  #settle(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2)
      const name = payload.readUInt16BE(at)
      if (name === settings.callsMax) this.callsMax = value
      if (name === settings.windowBytes) this.streamWindowBytes += value - INITIAL_WINDOW_BYTES
    }
    this.send(http2Frame(frameTypes.settings, flags.ack, 0, Buffer.alloc(0)))
  }

  #openWindow(bytes: number): void {
    const payload = Buffer.alloc(4)
    payload.writeUInt32BE(bytes)
    this.send(http2Frame(frameTypes.windowUpdate, flags.none, 0, payload))
    this.#readBytes = 0
  }
}

function statusIn(block: Buffer): number {
  const at = block.indexOf(STATUS_NAME)
  if (at === -1) throw new Error(`no grpc-status in ${block.toString("hex")}`)
  const start = at + STATUS_NAME.length
  return Number(block.toString("latin1", start + 1, start + 1 + block[start]!))
}

/** A call for each request, over one connection. */
export class UnaryConnection extends LoadConnection {
  readonly #told: Told
  readonly #head: Buffer
  readonly #body: Buffer
  readonly #requests = new Map<number, number>()
  readonly #streams = new Map<number, number>()
  #nextStream = 1

  /** @param message the request, with the head of a gRPC message */
  constructor(address: string, method: string, message: Buffer, told: Told) {
    super(address)
    this.#told = told
    this.#head = callHead(method, [["grpc-timeout", `${"0".repeat(TIMEOUT_DIGITS)}m`]])
    this.#body = http2Frame(frameTypes.data, END_STREAM, 0, message)
  }

  begin(request: number, timeoutMs: number): boolean {
    if (this.#requests.size >= this.callsMax) return false
    if (this.windowBytes < this.#body.length) return false
    const stream = this.#nextStream
    this.#nextStream += 2
    this.#requests.set(stream, request)
    this.#streams.set(request, stream)
    const head = onStream(this.#head, stream)
    // The timeout is the last of the headers.
    const digits = String(Math.max(1, Math.ceil(timeoutMs))).padStart(TIMEOUT_DIGITS, "0")
    head.write(digits, head.length - TIMEOUT_DIGITS - 1, "latin1")
    this.windowBytes -= this.#body.length - FRAME_HEAD_BYTES
    this.send(head, onStream(this.#body, stream))
    return true
  }

  giveUp(request: number): void {
    const stream = this.#streams.get(request)
    if (stream === undefined) return
    this.#forget(stream, request)
    const code = Buffer.alloc(4)
    code.writeUInt32BE(CANCEL)
    this.send(http2Frame(frameTypes.reset, flags.none, stream, code))
  }

  protected onData(): void {
    // The status tells.
  }

  protected onEnd(stream: number, code: number): void {
    const request = this.#requests.get(stream)
    if (request === undefined) return
    this.#forget(stream, request)
    this.#told(request, code)
  }

  #forget(stream: number, request: number): void {
    this.#requests.delete(stream)
    this.#streams.delete(request)
  }
}

/** A pipeline, with a frame for each request. */
export class PipelineConnection extends LoadConnection {
  readonly #told: Told
  readonly #encode: (id: number) => Buffer
  readonly #codeOf: (answer: Buffer) => { id: number; code: number }
  #rest: Buffer = Buffer.alloc(0)

  /** @param encode a frame, with the head of a gRPC message. @param codeOf reads an answer, without that head */
  constructor(
    address: string,
    encode: (id: number) => Buffer,
    codeOf: (answer: Buffer) => { id: number; code: number },
    told: Told,
  ) {
    super(address)
    this.#told = told
    this.#encode = encode
    this.#codeOf = codeOf
    this.send(onStream(callHead("Pipeline", []), 1))
  }

  begin(request: number): boolean {
    const message = this.#encode(request)
    if (Math.min(this.windowBytes, this.streamWindowBytes) < message.length) return false
    this.windowBytes -= message.length
    this.streamWindowBytes -= message.length
    this.send(http2Frame(frameTypes.data, flags.none, 1, message))
    return true
  }

  giveUp(): void {
    // A frame that is on its way cannot be taken back.
  }

  protected onData(_stream: number, bytes: Buffer): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    let at = 0
    while (all.length - at >= MESSAGE_HEAD_BYTES) {
      const end = at + MESSAGE_HEAD_BYTES + all.readUInt32BE(at + 1)
      if (end > all.length) break
      const { id, code } = this.#codeOf(all.subarray(at + MESSAGE_HEAD_BYTES, end))
      this.#told(id, code)
      at = end
    }
    this.#rest = all.subarray(at)
  }

  protected onEnd(): void {
    this.close()
  }
}

function callHead(method: string, more: readonly (readonly [string, string])[]): Buffer {
  const names = [...Object.entries(requestHeaders(method)), [":scheme", "http"], [":authority", "load"]] as [
    string,
    string,
  ][]
  const block = headerBlock([...names.sort(([a], [b]) => (a < b ? -1 : 1)), ...more])
  return http2Frame(frameTypes.headers, flags.endHeaders, 0, block)
}

/** A copy of the frame for this stream. */
function onStream(frame: Buffer, stream: number): Buffer {
  const copy = Buffer.from(frame)
  copy.writeUInt32BE(stream, 5)
  return copy
}
