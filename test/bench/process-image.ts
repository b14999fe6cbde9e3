// The memory of a process, as files: one for each mapping that can be read.
//
//   spawn ── input ── it says that it is ready ── SIGSTOP ── /proc/PID/maps ── /proc/PID/mem ──► <n>.region ── SIGKILL
//
// A mapping with x is code, one that can be written is memory, the rest is other. Mappings that the system lets nobody read
// ([vvar] and the like) are left out, and so are those without r: address space that is only reserved.

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync } from "node:fs"
import { type FileHandle, open, readFile } from "node:fs/promises"
import { connect } from "node:net"
import { join } from "node:path"
import type { Duplex, Readable, Writable } from "node:stream"
import { setTimeout as sleep } from "node:timers/promises"
import { ending } from "./endings.ts"
import type { ImageProgram } from "./image-programs.ts"
import { killWithBenchmark } from "./scratch.ts"

/** As an image is stored. */
export interface RegionFile {
  readonly kind: "code" | "memory" | "other"
  readonly address: bigint
  readonly path: string
  readonly bytes: number
}

const COPY_BYTES = 4 * 1024 * 1024
const STATE_POLL_MS = 2
const OUTPUT_KEPT = 1000
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])/

/** Starts the program, stops it when it has taken its input, and copies its memory to a new `directory`. */
export async function dumpProgram(
  program: ImageProgram,
  instance: number,
  directory: string,
): Promise<RegionFile[]> {
  mkdirSync(directory)
  const child = spawn(program.command, program.words, { cwd: directory, stdio: ["pipe", "pipe", "inherit"] })
  const exited = once(child, "exit")
  const ended = child.pid === undefined ? () => undefined : killWithBenchmark(child.pid)
  const kill = ending(async () => {
    child.kill("SIGKILL")
    await exited
    ended()
  })
  try {
    await Promise.race([
      takesInput(child, program, instance, directory),
      exited.then(([code]) => {
        throw new Error(`${program.name} ended with ${String(code)} before it was ready`)
      }),
    ])
    child.kill("SIGSTOP")
    await stopped(child.pid!)
    return await copyMemory(child.pid!, directory)
  } finally {
    await kill()
  }
}

async function takesInput(
  { stdin, stdout }: ChildProcess,
  { ready, input, socket }: ImageProgram,
  instance: number,
  directory: string,
): Promise<void> {
  if (socket === undefined) return feed(stdin!, stdout!, input(instance), ready)
  await feed(stdin!, stdout!, "", socket.announcement)
  stdout!.resume()
  const connection: Duplex = connect(join(directory, socket.name))
  await feed(connection, connection, input(instance), ready)
  connection.destroy()
}

/** Resolves when `output` has had the text, or so many bytes. */
function feed(target: Writable, output: Readable, input: string, ready: string | number): Promise<void> {
  return new Promise((resolve) => {
    let text = ""
    let bytes = 0
    output.on("data", (part: Buffer) => {
      bytes += part.length
      text = (text + part.toString("latin1")).slice(-OUTPUT_KEPT)
      if (typeof ready === "string" ? text.includes(ready) : bytes >= ready) resolve()
    })
    // One that ends before it has read everything is told by its exit.
    target.on("error", () => undefined)
    if (input !== "") target.write(input)
  })
}

async function stopped(pid: number): Promise<void> {
  for (;;) {
    const status = await readFile(`/proc/${pid}/stat`, "latin1")
    if (status.slice(status.lastIndexOf(")") + 2).startsWith("T")) return
    await sleep(STATE_POLL_MS)
  }
}

async function copyMemory(pid: number, directory: string): Promise<RegionFile[]> {
  const maps = await readFile(`/proc/${pid}/maps`, "latin1")
  const memory = await open(`/proc/${pid}/mem`, "r")
  try {
    const regions: RegionFile[] = []
    for (const line of maps.split("\n")) {
      const [, from, to, r, w, x] = MAPPING.exec(line) ?? []
      if (from === undefined || to === undefined || r !== "r") continue
      const address = BigInt(`0x${from}`)
      const bytes = Number(BigInt(`0x${to}`) - address)
      const path = join(directory, `${regions.length}.region`)
      const kind = x === "x" ? "code" : w === "w" ? "memory" : "other"
      if (await copyMapping(memory, { address, bytes, path })) regions.push({ kind, address, path, bytes })
    }
    return regions
  } finally {
    await memory.close()
  }
}

/** False when nobody may read it. What can be read lies below 2^47. */
async function copyMapping(
  memory: FileHandle,
  { address, bytes, path }: Pick<RegionFile, "address" | "bytes" | "path">,
): Promise<boolean> {
  const buffer = Buffer.alloc(Math.min(bytes, COPY_BYTES))
  const target = await open(path, "w")
  try {
    for (let at = 0; at < bytes; ) {
      const length = Math.min(buffer.length, bytes - at)
      const { bytesRead } = await memory.read(buffer, 0, length, Number(address) + at)
      if (bytesRead === 0) return false
      await target.write(buffer, 0, bytesRead, at)
      at += bytesRead
    }
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EIO") return false
    throw error
  } finally {
    await target.close()
  }
}
