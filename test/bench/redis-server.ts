// A Redis of our own on a free port, in memory only.

import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { needProgram } from "./peers.ts"

export interface RedisServer {
  /** HOST:PORT */
  readonly address: string
  close(): Promise<void>
}

/** Starts redis-server without persistence and waits until it listens. */
export async function startRedis(): Promise<RedisServer> {
  needProgram("redis-server")
  const directory = mkdtempSync(join(tmpdir(), "varve-bench-redis-"))
  const port = await freePort()
  const flags = [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--appendonly",
    "no",
    "--dir",
    directory,
  ]
  const server = spawn("redis-server", flags, { stdio: ["ignore", "pipe", "inherit"] })
  const exited = once(server, "exit")
  const close = async (): Promise<void> => {
    server.kill("SIGTERM")
    await exited
    rmSync(directory, { recursive: true, force: true })
  }
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
