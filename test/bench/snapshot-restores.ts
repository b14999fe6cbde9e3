// Openings of a state whose process was killed, each in a new process that is killed too.

import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { ending } from "./endings.ts"
import { killWithBenchmark } from "./scratch.ts"
import type { RestoreRound, Subject } from "./snapshot-figures.ts"
import { statePaths } from "./snapshot-state.ts"
import { newKey, setKey } from "./workload.ts"

const program = fileURLToPath(new URL("./snapshot-restore.mjs", import.meta.url))

/** Opens the state below `directory` `rounds` times; each asks for another key. */
export async function measureRestores(
  { engine }: Subject,
  directory: string,
  keys: number,
  rounds: number,
): Promise<RestoreRound[]> {
  const { state, repository } = statePaths(directory)
  const figures: RestoreRound[] = []
  for (let round = 1; round <= rounds; round++) {
    const key = newKey()
    setKey(key, Math.floor((keys * round) / (rounds + 1)))
    figures.push(JSON.parse(await run([program, engine, state, repository, key.toString("hex")])))
  }
  return figures
}

/** What a process prints that ends by killing itself. */
async function run(words: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] })
  const closed = once(child, "close")
  const ended = killWithBenchmark(child.pid!)
  const kill = ending(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
    await closed
    ended()
  })
  try {
    let text = ""
    for await (const part of child.stdout.setEncoding("utf8")) text += part
    await closed
    if (child.signalCode !== "SIGKILL") throw new Error(`the restoring process ended with ${child.exitCode}`)
    return text
  } finally {
    await kill()
  }
}
