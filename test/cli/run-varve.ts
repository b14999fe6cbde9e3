// Runs the command line for tests: as a process, as users do, or on streams in this process, which takes a tenth of the
// time. What lies between the two is server/src/cli/main.ts.

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import { runCommandLine } from "../../server/dist/cli/program.js"

const program = fileURLToPath(new URL("../../server/bin/varve.js", import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

/** Runs `varve WORDS…` in this process, with `stdin` as its input. */
export async function runVarveHere(
  words: readonly string[],
  stdin: Uint8Array | string = "",
): Promise<Outcome> {
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  const code = await runCommandLine(words, {
    stdin: Readable.from([Buffer.from(stdin)]),
    stdout: collector(stdout),
    stderr: collector(stderr),
    environment: process.env,
  })
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }
}

function collector(parts: Buffer[]): Writable {
  return new Writable({
    write(part: Buffer, _, done) {
      parts.push(part)
      done()
    },
  })
}

/** Runs `varve WORDS…` as a process to its end, with `stdin` as its input. */
export function runVarve(words: readonly string[], stdin: Uint8Array | string = ""): Promise<Outcome> {
  return startVarve(words, stdin).outcome
}

/** A process of `varve WORDS…`; who starts it sees to its end. */
export function startVarve(
  words: readonly string[],
  stdin: Uint8Array | string = "",
): { readonly child: ChildProcess; readonly outcome: Promise<Outcome> } {
  const child = spawn(process.execPath, [program, ...words], { stdio: ["pipe", "pipe", "pipe"] })
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on("data", (part: Buffer) => stdout.push(part))
  child.stderr.on("data", (part: Buffer) => stderr.push(part))
  // A command that ends without reading its input closes the pipe: that is its right.
  child.stdin.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error
  })
  child.stdin.end(stdin)
  const outcome = once(child, "close").then(([code]) => ({
    code: code as number | null,
    stdout: Buffer.concat(stdout),
    stderr: Buffer.concat(stderr).toString(),
  }))
  return { child, outcome }
}
