// A peer's program that runs once and prints.

import { spawn } from "node:child_process"
import { once } from "node:events"
import { ending } from "./endings.ts"
import { killWithBenchmark } from "./scratch.ts"

/** What `program` printed on both outputs. It is killed when the benchmark is interrupted. @throws when it fails */
export async function runPeer(program: string, flags: readonly string[]): Promise<string> {
  const child = spawn(program, flags, { stdio: ["ignore", "pipe", "pipe"] })
  const exited = once(child, "close")
  const ended = child.pid === undefined ? () => undefined : killWithBenchmark(child.pid)
  const kill = ending(async () => {
    child.kill("SIGKILL")
    await exited
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part: string) => {
      output += part
    })
  }
  const [code] = (await exited) as [number | null]
  ended()
  await kill()
  if (code !== 0) throw new Error(`${program} ${flags.join(" ")} ended with ${code}:\n${output}`)
  return output
}
