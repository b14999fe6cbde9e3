// Runs a program to its end.

import { spawn } from "node:child_process"
import { once } from "node:events"
import { text } from "node:stream/consumers"

/** Its output. @throws (rejects) with what it said when it fails */
export async function run(program: string, args: readonly string[]): Promise<string> {
  const { code, output, errors } = await tryRun(program, args)
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: exit code ${code}\n${output}${errors}`)
  return output
}

export interface Ended {
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

/** The same for a program that may fail. */
export async function tryRun(program: string, args: readonly string[]): Promise<Ended> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] })
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number | null]>,
  ])
  return { code, output, errors }
}
