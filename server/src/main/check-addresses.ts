// Finds out whether the daemon will be able to listen, before it touches anything on disk: it listens on all its
// addresses at once for a moment, and answers nobody. Who takes an address in between is found by the servers
// themselves, later and with the same words.

import { once } from "node:events"
import { createServer, type Server } from "node:net"
import type { ListenAddress } from "../config/address.ts"
import { listenRefusal } from "../config/listen-refusal.ts"

/** @throws (rejects) SettingsError naming the setting, or the system's error */
export async function checkAddresses(addresses: {
  readonly grpc: ListenAddress
  readonly http: ListenAddress
}): Promise<void> {
  const servers: Server[] = []
  try {
    for (const setting of ["grpc", "http"] as const) {
      const { host, port } = addresses[setting]
      const server = createServer((socket) => socket.destroy())
      try {
        server.listen({ host, port })
        await once(server, "listening")
      } catch (error) {
        throw listenRefusal(setting, addresses[setting], error)
      }
      servers.push(server)
    }
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  }
}
