// A process that opens what a killed one has left, answers one read, restores once more, and is killed in its turn.
// Plain JavaScript, because the time from its start to its first answer is measured, and a compiler would be in it.
//
//     node snapshot-restore.mjs <engine> <state> <repository> <key as hex>     prints one line of JSON

import { writeSync } from "node:fs"
import { performance } from "node:perf_hooks"
import { openEngine } from "@varve/engines"

const [engineName, directory, repository, keyHex] = process.argv.slice(2)
const key = Buffer.from(keyHex, "hex")
const asked = performance.now()
const engine = await openEngine({ engine: engineName, directory, repository: `file:${repository}` })
const opened = performance.now()
const value = await engine.get(key)
const answered = performance.now()
if (value === undefined) throw new Error("a key of the restored version is missing")
if (engine.recovery !== "crashed")
  throw new Error(`the state before this one was ${engine.recovery}, not killed`)
const again = performance.now()
await engine.restore({ newest: true })
await engine.get(key)
const restored = performance.now()
const figures = {
  openMs: opened - asked,
  answerMs: answered - asked,
  processMs: answered,
  restoreMs: restored - again,
}
writeSync(1, `${JSON.stringify(figures)}\n`)
process.kill(process.pid, "SIGKILL")
