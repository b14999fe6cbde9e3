// Runs the command line as a process, for tests.

import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("../../server/bin/varve.js", import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

/** Runs `varve WORDS…` to its end, with `stdin` as its input. */
export async function runVarve(words: readonly string[], stdin: Uint8Array | string = ""): Promise<Outcome> {
  const child = spawn(process.execPath, [program, ...words], { stdio: ["pipe", "pipe", "pipe"] })
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on("data", (part: Buffer) => stdout.push(part))
  child.stderr.on("data", (part: Buffer) => stderr.push(part))
  // A command that ends without reading its input closes the pipe: that is its right.
  child.stdin.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error
  })
  child.stdin.end(stdin)
  const [code] = (await once(child, "close")) as [number | null]
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }
}
