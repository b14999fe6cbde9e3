// Listens at an address, be it a port or a Unix socket. A socket's file outlives a process that was killed; the
// one that nobody answers at is replaced, and one that somebody answers at never is:
//
//   nothing there ──────────────────────────► listen, set the mode
//   a socket, a connection to it is refused ─► remove, listen, set the mode
//   a socket that takes a connection ────────► EADDRINUSE
//   anything else ───────────────────────────► ENOTSOCK
//
// Of several processes that find the same stale socket one removes it: under PATH.lock, which is there for that moment
// only. Without it a slow starter could remove the socket of a quick one, which then listens where nobody finds it.
//
// Node removes the socket's file when the server closes.

import { once } from "node:events"
import { chmodSync } from "node:fs"
import { lstat, rm, stat } from "node:fs/promises"
import { type AddressInfo, connect, type Server } from "node:net"
import { basename, dirname } from "node:path"
import { isEngineError } from "@varve/engines"
import { lockDirectory, releaseLockOfDeadThread } from "@varve/engines/internal"
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
      await lockedAt(address.path, async () => {
        if (await isStaleSocket(address.path)) await rm(address.path, { force: true })
        await start(address)
        chmodSync(address.path, socketMode)
      })
      return address
    }
    await start(address)
    return { host: address.host, port: (server.address() as AddressInfo).port }
  } catch (error) {
    throw listenRefusal(setting, address, error)
  }
}

/**
 * Whether at `path` is the socket of a process that is gone; false: nothing is.
 * @throws (rejects) the system's error; `EADDRINUSE` when somebody answers, `ENOTSOCK` when it is another file
 */
export async function isStaleSocket(path: string): Promise<boolean> {
  try {
    const status = await lstat(path)
    if (!status.isSocket()) throw refusal("ENOTSOCK", path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
    // Node would report a missing directory as a missing permission.
    await stat(dirname(path))
    return false
  }
  if (await isAnswered(path)) throw refusal("EADDRINUSE", path)
  return true
}

/** No other process removes what is at `path`, or listens there by this function, while `work` does. */
async function lockedAt(path: string, work: () => Promise<void>): Promise<void> {
  const [directory, name] = [dirname(path), `${basename(path)}.lock`]
  await stat(directory)
  // In a process one thread at a time listens at a path: the one before this is dead.
  await releaseLockOfDeadThread(directory, name)
  const lock = await lockDirectory(directory, name).catch((error: Error) => {
    if (isEngineError(error, "DIRECTORY_LOCKED")) throw refusal("EADDRINUSE", path)
    throw error.cause ?? error
  })
  try {
    await work()
  } finally {
    await lock.release()
  }
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
