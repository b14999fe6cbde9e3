// Unix sockets as addresses: who may connect, and whose file is replaced.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { existsSync, readdirSync, statSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "@varve/client"
import { lockDirectory } from "@varve/engines/internal"
import { afterEach, beforeEach, test } from "vitest"
import { startDaemon, startRefusedDaemon, type TestDaemon } from "./daemon.ts"

let directory: string
let grpcPath: string
let httpPath: string
let flags: string[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-socket-"))
  grpcPath = join(directory, "grpc.sock")
  httpPath = join(directory, "http.sock")
  flags = ["--grpc", `unix:${grpcPath}`, "--http", `unix:${httpPath}`]
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

async function writesAndReads(daemon: TestDaemon, shards = 1): Promise<void> {
  const state = connect(daemon.grpc)
  try {
    await state.set("k", "v")
    deepStrictEqual(await state.get("k"), Buffer.from("v"))
    const description = await state.describe()
    const addresses = description.stores[0]!.partitions.map(({ address }) => address)
    const expected = [`unix:${grpcPath}`, `unix:${grpcPath}.1`].slice(0, shards)
    deepStrictEqual([...new Set(addresses)], expected)
  } finally {
    await state.close()
  }
}

function health(): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ socketPath: httpPath, path: "/healthz" }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on("error", reject)
      .end()
  })
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777
}

test("unix sockets: all servers answer there, the owner alone may connect, and a stop removes them", async () => {
  const daemon = await startDaemon({ directory, flags: [...flags, "--shards", "2"] })
  const paths = [grpcPath, `${grpcPath}.1`, httpPath]
  try {
    strictEqual(daemon.grpc, `unix:${grpcPath}`)
    await writesAndReads(daemon, 2)
    strictEqual(await health(), 200)
    deepStrictEqual(paths.map(modeOf), [0o600, 0o600, 0o600])
  } finally {
    await daemon.kill("SIGTERM")
  }
  deepStrictEqual(paths.filter(existsSync), [])
})

test("unix sockets: the file of a killed daemon is replaced, by one process at a time; that of a living one is not", async () => {
  const killed = await startDaemon({ directory, flags })
  await killed.kill("SIGKILL")
  ok(existsSync(grpcPath))
  const isRefused = async (home: string, words: string): Promise<void> => {
    const refused = await startRefusedDaemon({ directory: home, flags })
    strictEqual(refused.exitCode, 2)
    const { message } = refused.log.at(-1)!
    ok(message.includes(`grpc: unix:${grpcPath} is in use${words}`), message)
  }
  // Another process is about to replace it.
  const stale = statSync(grpcPath).ino
  const lock = await lockDirectory(directory, "grpc.sock.lock")
  try {
    await isRefused(directory, "")
    strictEqual(statSync(grpcPath).ino, stale)
  } finally {
    await lock.release()
  }
  const daemon = await startDaemon({ directory, flags: [...flags, "--socket-mode", "660"] })
  const other = await mkdtemp(join(tmpdir(), "varve-socket-"))
  try {
    strictEqual(modeOf(grpcPath), 0o660)
    await isRefused(other, ": stop the process")
    await writesAndReads(daemon)
  } finally {
    await daemon.kill("SIGTERM")
    await rm(other, { recursive: true, force: true })
  }
  deepStrictEqual(
    readdirSync(directory).filter((name) => name.includes("sock")),
    [],
  )
})

test("unix sockets: a file that is none is left alone, and so is a path without a directory", async () => {
  await writeFile(grpcPath, "precious")
  const refused = await startRefusedDaemon({ directory, flags })
  ok(refused.log.at(-1)!.message.includes("is no socket"), refused.log.at(-1)!.message)
  strictEqual(statSync(grpcPath).size, "precious".length)
  const nowhere = `unix:${join(directory, "missing", "s")}`
  const second = await startRefusedDaemon({ directory, flags: ["--http", nowhere] })
  ok(second.log.at(-1)!.message.includes(`http: ${nowhere} is in no directory`), second.log.at(-1)!.message)
})
