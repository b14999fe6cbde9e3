// The listening socket of a shard. grpc-js neither counts connections nor closes those that say nothing, so the
// daemon accepts them itself, bounds them, and hands them over.

import { createServer, type Server, type Socket } from "node:net"
import type { ListenAddress } from "../config/address.ts"
import { listen } from "../config/listen.ts"
import type { Log } from "../log.ts"

export interface ListenerLimits {
  readonly connectionsMax: number
  readonly handshakeSeconds: number
  /** Permissions of the file of a Unix socket. */
  readonly socketMode: number
}

export class Listener {
  readonly address: ListenAddress
  readonly #server: Server
  readonly #sockets: Set<Socket>
  readonly #refused: { readonly count: number }

  constructor(
    server: Server,
    sockets: Set<Socket>,
    refused: { readonly count: number },
    address: ListenAddress,
  ) {
    this.#server = server
    this.#sockets = sockets
    this.#refused = refused
    this.address = address
  }

  /** Resolves when connections are accepted. @throws (rejects) SettingsError, or the system's error */
  static async open(
    address: ListenAddress,
    limits: ListenerLimits,
    take: (socket: Socket) => void,
    log: Log,
  ): Promise<Listener> {
    const sockets = new Set<Socket>()
    const refused = { count: 0 }
    const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
      if (sockets.size >= limits.connectionsMax) {
        refused.count++
        log.debug("connection-refused", "limits.connectionsMax is reached", { connections: sockets.size })
        socket.destroy()
        return
      }
      sockets.add(socket)
      // Between the connection and its first byte nothing else watches the socket; what is no HTTP/2 ends it.
      const silent = setTimeout(() => socket.destroy(), limits.handshakeSeconds * 1000)
      const spoke = setInterval(
        () => {
          if (socket.bytesRead > 0) clearTimers()
        },
        (limits.handshakeSeconds * 1000) / CHECKS_PER_HANDSHAKE,
      )
      const clearTimers = (): void => {
        clearTimeout(silent)
        clearInterval(spoke)
      }
      socket.on("error", (error) => log.debug("connection-error", error.message))
      socket.once("close", () => {
        clearTimers()
        sockets.delete(socket)
      })
      take(socket)
    })
    const bound = await listen(server, address, { setting: "grpc", socketMode: limits.socketMode })
    // Running out of descriptors is reported here; accepting goes on when there are some again.
    server.on("error", (error) => log.error("listener-error", error.message))
    return new Listener(server, sockets, refused, bound)
  }

  get connectionCount(): number {
    return this.#sockets.size
  }

  /** Connections that were closed because there were too many. */
  get refusedCount(): number {
    return this.#refused.count
  }

  /** Accepts no more connections; those that are open stay. */
  stop(): void {
    this.#server.close()
  }

  /** Closes every connection at once. */
  destroy(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}

const CHECKS_PER_HANDSHAKE = 4
