// What an attack is: it has a daemon's addresses, does its worst, and hands back what it holds open.

import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2"
import { connect, type Socket } from "node:net"
import { requestHeaders } from "../raw-http2.ts"
import { HandMadeConnection } from "./hand-made-connection.ts"

/** The daemon under attack. */
export interface Target {
  /** Of the first shard. */
  readonly grpc: string
  /** Without a scheme. */
  readonly http: string
}

export interface Attack {
  /** As in the table of server/README.md. */
  readonly name: string
  /** Does its worst; resolves when nothing more is to be sent. Connections stay open until the field is left. */
  run(field: Battlefield): Promise<void>
}

/** How large an attack is. */
export interface Force {
  readonly connections: number
  /** Of each connection. */
  readonly streams: number
  /** Of one request, at most what the daemon takes. */
  readonly requestBytes: number
  readonly valueBytes: number
  readonly floodBytes: number
  /** How long an attacker waits for what may never come. */
  readonly patienceMs: number
}

/** Connections to a daemon that are closed together. */
export class Battlefield implements Force {
  readonly target: Target
  readonly connections: number
  readonly streams: number
  readonly requestBytes: number
  readonly valueBytes: number
  readonly floodBytes: number
  readonly patienceMs: number
  readonly #closers: (() => unknown)[] = []

  constructor(target: Target, force: Force) {
    this.target = target
    this.connections = force.connections
    this.streams = force.streams
    this.requestBytes = force.requestBytes
    this.valueBytes = force.valueBytes
    this.floodBytes = force.floodBytes
    this.patienceMs = force.patienceMs
  }

  /** HTTP/2 by hand. @param windowBytes of each stream: what the daemon may send before it must wait */
  async byHand(windowBytes?: number): Promise<HandMadeConnection> {
    const connection = await HandMadeConnection.open(this.target.grpc, windowBytes)
    this.#closers.push(() => connection.close())
    return connection
  }

  async silent(): Promise<HandMadeConnection> {
    const connection = await HandMadeConnection.silent(this.target.grpc)
    this.#closers.push(() => connection.close())
    return connection
  }

  /** HTTP/2 that keeps to the windows of the daemon, for what is large. */
  session(windowBytes = 65_535): ClientHttp2Session {
    const session = connectHttp2(`http://${this.target.grpc}`, {
      settings: { initialWindowSize: windowBytes },
    })
    session.on("error", () => undefined)
    this.#closers.push(() => session.destroy())
    return session
  }

  /** HTTP/1.1 by hand. */
  http(): Socket {
    const [host, port] = this.target.http.split(":")
    const socket = connect(Number(port), host)
    socket.on("error", () => undefined)
    this.#closers.push(() => socket.destroy())
    return socket
  }

  async leave(): Promise<void> {
    await Promise.all(this.#closers.splice(0).map((close) => close()))
  }
}

/** A call of which nothing is read. */
export function openCall(session: ClientHttp2Session, method: string, service?: string): ClientHttp2Stream {
  const stream = session.request(requestHeaders(method, service))
  stream.on("error", () => undefined)
  stream.pause()
  return stream
}

/** Sends a whole request; resolves with the status, or undefined when there was none. */
export async function callStatus(
  session: ClientHttp2Session,
  method: string,
  body: Uint8Array,
): Promise<string | undefined> {
  const stream = session.request(requestHeaders(method))
  stream.end(body)
  return await statusOf(stream)
}

/** Sends what may be no whole request, and does not say that it is all; as `callStatus`, once the daemon has ended the call. */
export async function neverEndedStatus(
  session: ClientHttp2Session,
  method: string,
  body: Uint8Array,
): Promise<string | undefined> {
  const stream = session.request(requestHeaders(method))
  stream.write(body)
  return await statusOf(stream)
}

async function statusOf(stream: ClientHttp2Stream): Promise<string | undefined> {
  let status: string | undefined
  const note = (headers: Record<string, unknown>): void => {
    const given = headers["grpc-status"]
    if (given !== undefined) status = String(given)
  }
  stream.on("error", () => undefined)
  stream.on("response", note)
  stream.on("trailers", note)
  stream.resume()
  await new Promise<void>((resolve) => stream.once("close", () => resolve()))
  return status
}
