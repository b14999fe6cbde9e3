// A Redis of our own on a free port, in memory only.

import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { ending } from "./endings.ts"
import { needProgram } from "./peers.ts"
import { killWithBenchmark, makeScratch } from "./scratch.ts"

export interface RedisServer {
  /** HOST:PORT */
  readonly address: string
  close(): Promise<void>
}

/**
 * Starts redis-server and waits until it listens: without persistence, or with an append-only file that is synced
 * before each answer.
 */
export async function startRedis(options: { readonly sync?: "always" } = {}): Promise<RedisServer> {
  needProgram("redis-server")
  const scratch = makeScratch("redis")
  const port = await freePort()
  const flags = [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--appendonly",
    options.sync === undefined ? "no" : "yes",
    "--appendfsync",
    options.sync ?? "no",
    "--dir",
    scratch.path,
  ]
  const server = spawn("redis-server", flags, { stdio: ["ignore", "pipe", "inherit"] })
  const exited = once(server, "exit")
  const ended = server.pid === undefined ? () => undefined : killWithBenchmark(server.pid)
  const close = ending(async () => {
    server.kill("SIGTERM")
    await exited
    ended()
    await scratch.remove()
  })
  try {
    await listening(server.stdout, exited)
  } catch (error) {
    await close()
    throw error
  }
  server.stdout.resume()
  return { address: `127.0.0.1:${port}`, close }
}

async function listening(stdout: NodeJS.ReadableStream, exited: Promise<unknown>): Promise<void> {
  let log = ""
  const ready = new Promise<void>((resolve) => {
    stdout.on("data", (part: Buffer) => {
      log += part.toString()
      if (/Ready to accept connections/i.test(log)) resolve()
    })
  })
  await Promise.race([
    ready,
    exited.then(() => {
      throw new Error(`redis-server ended at once:\n${log}`)
    }),
  ])
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const address = probe.address()
  probe.close()
  await once(probe, "close")
  if (address === null || typeof address === "string") throw new Error("the system gave no port")
  return address.port
}
