// Listens at an address, be it a port or a Unix socket. A socket's file outlives a process that was killed; the
// one that nobody answers at is replaced, and one that somebody answers at never is:
//
//   nothing there ──────────────────────────► listen, set the mode
//   a socket, a connection to it is refused ─► remove, listen, set the mode
//   a socket that takes a connection ────────► EADDRINUSE
//   anything else ───────────────────────────► ENOTSOCK
//
// Node removes the file when the server closes.

import { once } from "node:events"
import { chmodSync } from "node:fs"
import { lstat, rm, stat } from "node:fs/promises"
import { type AddressInfo, connect, type Server } from "node:net"
import { dirname } from "node:path"
import type { ListenAddress } from "./address.ts"
import { listenRefusal } from "./listen-refusal.ts"

export interface ListenOptions {
  /** Names the setting in what is refused. */
  readonly setting: "grpc" | "http"
  /** Permissions of a socket's file. */
  readonly socketMode: number
}

/**
 * Resolves where `server` listens: with a port for port 0.
 * @param start makes it listen
 * @throws (rejects) SettingsError, or the system's error
 */
export async function listen(
  server: Server,
  address: ListenAddress,
  { setting, socketMode }: ListenOptions,
  start: (where: ListenAddress) => Promise<unknown> = (where) => startServer(server, where),
): Promise<ListenAddress> {
  try {
    if ("path" in address) {
      await removeStaleSocket(address.path)
      await start(address)
      chmodSync(address.path, socketMode)
      return address
    }
    await start(address)
    return { host: address.host, port: (server.address() as AddressInfo).port }
  } catch (error) {
    throw listenRefusal(setting, address, error)
  }
}

/**
 * Makes way at `path` when what is there is the socket of a process that is gone.
 * @throws (rejects) the system's error; `EADDRINUSE` when somebody answers, `ENOTSOCK` when it is another file
 */
export async function removeStaleSocket(path: string): Promise<void> {
  try {
    const status = await lstat(path)
    if (!status.isSocket()) throw refusal("ENOTSOCK", path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
    // Node would report a missing directory as a missing permission.
    await stat(dirname(path))
    return
  }
  if (await isAnswered(path)) throw refusal("EADDRINUSE", path)
  await rm(path, { force: true })
}

async function startServer(server: Server, where: ListenAddress): Promise<void> {
  server.listen({ ...where })
  await once(server, "listening")
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = connect({ path })
  try {
    await once(socket, "connect")
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "ECONNREFUSED" || code === "ENOENT") return false
    // A queue that is full, or permissions that keep us out: somebody may well be there.
    if (code === "EAGAIN" || code === "EACCES") return true
    throw error
  } finally {
    socket.destroy()
  }
}

function refusal(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`listen ${code}: ${path}`), { code, syscall: "listen" })
}
