// A Redis of our own on a free port, in memory only.

import { join } from "node:path"
import { freePort } from "./free-port.ts"
import { needProgram } from "./peers.ts"
import { makeScratch } from "./scratch.ts"
import { type ServerProcess, startServer } from "./server-process.ts"

export interface RedisServer extends ServerProcess {
  /** HOST:PORT */
  readonly address: string
  /** Path of its Unix socket. */
  readonly socket: string
}

/**
 * Starts redis-server and waits until it listens: without persistence, or with an append-only file that is synced
 * before each answer.
 */
export async function startRedis(options: { readonly sync?: "always" } = {}): Promise<RedisServer> {
  needProgram("redis-server")
  const scratch = makeScratch("redis")
  const port = await freePort()
  const socket = join(scratch.path, "redis.sock")
  const flags = [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--unixsocket",
    socket,
    "--save",
    "",
    "--appendonly",
    options.sync === undefined ? "no" : "yes",
    "--appendfsync",
    options.sync ?? "no",
    "--dir",
    scratch.path,
  ]
  const server = await startServer({
    program: "redis-server",
    words: flags,
    tellsOn: "stdout",
    ready: /Ready to accept connections/i,
    scratch,
  })
  return { address: `127.0.0.1:${port}`, socket, ...server }
}
