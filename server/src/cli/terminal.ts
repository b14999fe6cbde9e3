// The streams of a command, as arguments, so that tests run commands without a process of their own.

import type { Readable, Writable } from "node:stream"

/** What a command may reach of its process. */
export interface Terminal {
  readonly stdin: Readable
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable & { readonly isTTY?: boolean }
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Calls `act` at the first SIGINT from now on; a second one ends the process. Answers how to take that back. */
  onInterrupt?(act: () => void): () => void
}

/** Resolves when `stdout` has room again: a slow reader slows the command, and memory stays bounded. */
export async function write({ stdout }: Terminal, bytes: Uint8Array | string): Promise<void> {
  if (stdout.write(bytes)) return
  await new Promise<void>((resolve) => {
    stdout.once("drain", resolve)
    stdout.once("close", resolve)
  })
}

/** Writes one line to `stdout`. */
export async function writeLine(terminal: Terminal, line: string): Promise<void> {
  await write(terminal, `${line}\n`)
}

/** All of `stdin`, at most `bytesMax` bytes; `undefined` when there is more. */
export async function readAll({ stdin }: Terminal, bytesMax: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of stdin) {
    const buffer = Buffer.from(part as Uint8Array)
    bytes += buffer.length
    if (bytes > bytesMax) return undefined
    parts.push(buffer)
  }
  return Buffer.concat(parts)
}
