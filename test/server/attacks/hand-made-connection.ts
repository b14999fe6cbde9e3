// HTTP/2 by hand on a socket, for what no library sends: floods of frames, headers that never end, windows that stay
// shut. Every frame is written as it is asked for; what comes back is read and counted, or left unread.
//
//   frame := length u24 | type u8 | flags u8 | stream u32 | payload            big-endian (RFC 9113, 4.1)

import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { requestHeaders } from "../raw-http2.ts"

export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const flags = { none: 0, endStream: 1, ack: 1, endHeaders: 4 } as const

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
const FRAME_HEAD_BYTES = 9
const INITIAL_WINDOW_SETTING = 4
const CANCEL = 8

/** Bytes of one frame. */
export function http2Frame(type: number, flag: number, stream: number, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(FRAME_HEAD_BYTES + payload.length)
  frame.writeUIntBE(payload.length, 0, 3)
  frame.writeUInt8(type, 3)
  frame.writeUInt8(flag, 4)
  frame.writeUInt32BE(stream, 5)
  frame.set(payload, FRAME_HEAD_BYTES)
  return frame
}

/** Headers as literals that are not indexed, without Huffman coding (RFC 7541, 6.2.2). */
export function headerBlock(headers: Iterable<readonly [string, string]>): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of headers) {
    parts.push(Buffer.of(0), lengthOf(name), Buffer.from(name), lengthOf(value), Buffer.from(value))
  }
  return Buffer.concat(parts)
}

/** An integer with a prefix of seven bits (RFC 7541, 5.1). */
function lengthOf(text: string): Buffer {
  const bytes: number[] = []
  let rest = text.length
  if (rest < 127) return Buffer.of(rest)
  bytes.push(127)
  for (rest -= 127; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** Headers of a call as `headerBlock` takes them. */
function callHeaders(
  method: string,
  more: Iterable<readonly [string, string]> = [],
  service = "varve.v1.StateBackend",
): [string, string][] {
  const all = new Map<string, string>([
    ...Object.entries(requestHeaders(method, service)),
    [":scheme", "http"],
    [":authority", "attack"],
    ...more,
  ])
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1))
}

export class HandMadeConnection {
  readonly socket: Socket
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>
  /** Frames that came, by type. */
  readonly received = new Map<number, number>()
  isClosed = false
  bytesReceived = 0
  #rest = Buffer.alloc(0)
  #nextStream = 1

  private constructor(socket: Socket) {
    this.socket = socket
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.isClosed = true
        resolve()
      })
    })
    // Being cut off is what an attacker gets.
    socket.on("error", () => undefined)
  }

  /** A socket on which nothing was said yet. */
  static async silent(address: string): Promise<HandMadeConnection> {
    const [host, port] = address.split(":")
    const socket = connect(Number(port), host)
    const connection = new HandMadeConnection(socket)
    await Promise.race([once(socket, "connect"), connection.closed])
    return connection
  }

  /** A connection that has said what HTTP/2 begins with. @param windowBytes of each stream: what the daemon may send */
  static async open(address: string, windowBytes = 65_535): Promise<HandMadeConnection> {
    const connection = await HandMadeConnection.silent(address)
    const setting = Buffer.alloc(6)
    setting.writeUInt16BE(INITIAL_WINDOW_SETTING, 0)
    setting.writeUInt32BE(windowBytes, 2)
    connection.write(Buffer.from(PREFACE), http2Frame(frameTypes.settings, flags.none, 0, setting))
    return connection
  }

  /** Reads and counts what comes, and answers settings and pings, as an attacker does who wants to stay. */
  read(): this {
    this.socket.on("data", (part) => {
      this.bytesReceived += part.length
      this.#rest = Buffer.concat([this.#rest, part])
      while (this.#rest.length >= FRAME_HEAD_BYTES) {
        const end = FRAME_HEAD_BYTES + this.#rest.readUIntBE(0, 3)
        if (this.#rest.length < end) break
        this.#take(this.#rest.subarray(0, end))
        this.#rest = this.#rest.subarray(end)
      }
    })
    return this
  }

  count(type: number): number {
    return this.received.get(type) ?? 0
  }

  write(...frames: readonly Uint8Array[]): void {
    if (!this.isClosed) this.socket.write(Buffer.concat(frames))
  }

  /** Writes, and waits until the socket has taken it or is gone. */
  async writeAll(bytes: Uint8Array): Promise<void> {
    if (this.isClosed) return
    const taken = new Promise<void>((resolve) => this.socket.write(bytes, () => resolve()))
    await Promise.race([taken, this.closed])
  }

  /** The bytes that begin a call; @returns its stream too. */
  call(
    method: string,
    more: Iterable<readonly [string, string]> = [],
    flag: number = flags.endHeaders,
    service?: string,
  ): { stream: number; bytes: Buffer } {
    const stream = this.#nextStream
    this.#nextStream += 2
    const block = headerBlock(callHeaders(method, more, service))
    return { stream, bytes: http2Frame(frameTypes.headers, flag, stream, block) }
  }

  reset(stream: number): Buffer {
    const code = Buffer.alloc(4)
    code.writeUInt32BE(CANCEL)
    return http2Frame(frameTypes.reset, flags.none, stream, code)
  }

  data(stream: number, bytes: Uint8Array, flag: number = flags.none): Buffer {
    return http2Frame(frameTypes.data, flag, stream, bytes)
  }

  async close(): Promise<void> {
    this.socket.destroy()
    await this.closed
  }

  #take(frame: Buffer): void {
    const type = frame.readUInt8(3)
    this.received.set(type, this.count(type) + 1)
    const isAck = (frame.readUInt8(4) & flags.ack) !== 0
    if (isAck) return
    if (type === frameTypes.settings) this.write(http2Frame(type, flags.ack, 0, Buffer.alloc(0)))
    if (type === frameTypes.ping) this.write(http2Frame(type, flags.ack, 0, frame.subarray(FRAME_HEAD_BYTES)))
  }
}
