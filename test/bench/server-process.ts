// A server that a benchmark starts: it is there until it is closed, and gone with the benchmark whatever ends that.

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { ending } from "./endings.ts"
import { killWithBenchmark } from "./scratch.ts"

export interface ServerProcess {
  readonly pid: number
  close(): Promise<void>
}

export interface ServerCommand {
  readonly program: string
  readonly words: readonly string[]
  /** Where it says that it serves, and how. */
  readonly tellsOn: "stdout" | "stderr"
  readonly ready: RegExp
  /** What is to be removed after it. */
  readonly scratch: { remove(): Promise<void> }
}

/** Starts a server and waits until it says that it serves. @throws (rejects) Error with what it said, when it ends */
export async function startServer(command: ServerCommand): Promise<ServerProcess> {
  const { program, words, tellsOn, scratch } = command
  const isStdout = tellsOn === "stdout"
  const server = spawn(program, words, {
    stdio: ["ignore", isStdout ? "pipe" : "ignore", isStdout ? "inherit" : "pipe"],
  })
  const exited = once(server, "exit")
  const ended = server.pid === undefined ? () => undefined : killWithBenchmark(server.pid)
  const close = ending(async () => {
    server.kill("SIGTERM")
    await exited
    ended()
    await scratch.remove()
  })
  try {
    await serving(server, command, exited)
  } catch (error) {
    await close()
    throw error
  }
  return { pid: server.pid!, close }
}

async function serving(
  server: ChildProcess,
  { program, tellsOn, ready }: ServerCommand,
  exited: Promise<unknown>,
): Promise<void> {
  const output = server[tellsOn]!
  let log = ""
  let listen: ((part: Buffer) => void) | undefined
  const isReady = new Promise<void>((resolve) => {
    listen = (part) => {
      log += part.toString()
      if (ready.test(log)) resolve()
    }
    output.on("data", listen)
  })
  await Promise.race([
    isReady,
    exited.then(() => {
      throw new Error(`${program} ended at once:\n${log.slice(-2000)}`)
    }),
  ])
  output.off("data", listen!)
  output.resume()
}
