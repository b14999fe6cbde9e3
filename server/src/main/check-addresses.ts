// Finds out whether the daemon will be able to listen, before it touches anything on disk: it listens on all its
// ports at once for a moment, answering nobody, and sees that nobody answers at its sockets. Who takes an address in
// between is found by the servers themselves, later and with the same words.

import { createServer, type Server } from "node:net"
import { type ListenAddress, shardAddress } from "../config/address.ts"
import { isStaleSocket, listen } from "../config/listen.ts"
import { listenRefusal } from "../config/listen-refusal.ts"
import type { Settings } from "../config/settings.ts"

/** @throws (rejects) SettingsError naming the setting, or the system's error */
export async function checkAddresses(
  settings: Pick<Settings, "grpc" | "http" | "shards" | "socketMode">,
): Promise<void> {
  const { grpc, http, shards, socketMode } = settings
  const servers: Server[] = []
  const check = async (setting: "grpc" | "http", address: ListenAddress): Promise<void> => {
    if ("path" in address) {
      try {
        await isStaleSocket(address.path)
      } catch (error) {
        throw listenRefusal(setting, address, error)
      }
      return
    }
    const server = createServer((socket) => socket.destroy())
    await listen(server, address, { setting, socketMode })
    servers.push(server)
  }
  try {
    for (let shard = 0; shard < shards; shard++) await check("grpc", shardAddress(grpc, shard))
    await check("http", http)
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  }
}
