// The quick start of README.md as it stands there: every command runs, and prints what the page says. Names of timelines,
// handles and times differ from run to run; nothing else may.

import { deepStrictEqual, ok } from "node:assert"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, beforeAll, test } from "vitest"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { until } from "./until.ts"

const run = promisify(execFile)
const root = fileURLToPath(new URL("../..", import.meta.url))
const section = readFileSync(`${root}/README.md`, "utf8").split("## Quick start")[1]!.split("\n## ")[0]!
const blocks = [...section.matchAll(/^```(console|js)\n(.*?)^```$/gms)].map(([, kind, text]) => ({
  kind,
  text: text!,
}))
const COMMAND_MS = 30_000

let daemon: TestDaemon

beforeAll(async () => {
  daemon = await startDaemon()
})

afterAll(async () => {
  await daemon?.stop()
})

test("README: the quick start prints what it says, through a kill of the daemon", async () => {
  const [before, after, program, printed] = blocks
  deepStrictEqual(
    blocks.map(({ kind }) => kind),
    ["console", "console", "js", "console"],
  )

  await expectDialogue(before!.text)
  await until("the daemon is gone", () => !isRunning(daemon.pid))
  daemon = await daemon.restart()
  await expectDialogue(after!.text)
  deepStrictEqual(await runProgram(program!.text), printed!.text)
  deepStrictEqual(await runProgram(program!.text), printed!.text)
})

/** Runs each command of a block (`$ …`), and compares what it prints with the lines below it. */
async function expectDialogue(text: string): Promise<void> {
  const parts = text.split(/^\$ /m).slice(1)
  ok(parts.length > 3)
  for (const part of parts) {
    const [command, ...lines] = part.trimEnd().split("\n")
    deepStrictEqual(
      { command, lines: lines.map(still) },
      { command, lines: (await runShell(command!)).map(still) },
    )
  }
}

/** Without what differs from run to run. */
function still(line: string): string {
  return line
    .replace(/\b[0-9a-z]{9}-[0-9a-f]{16}\b/, "TIMELINE")
    .replace(/\b[0-9a-f]{32}\b/g, "HANDLE")
    .replace(/\b[\d.]+ (?:ms|s)\b/g, "TIME")
}

/** The lines that a command prints, in a shell whose `npx varve` is the checkout's program and asks this daemon. */
async function runShell(command: string): Promise<string[]> {
  const npx = 'npx() { test "$1" = varve && shift && node "$PROGRAM" "$@"; }'
  const environment = { PROGRAM: `${root}/server/bin/varve.js`, VARVE_ADDRESS: daemon.grpc }
  const options = { cwd: daemon.directory, env: { ...process.env, ...environment }, timeout: COMMAND_MS }
  const { stdout, stderr } = await run("sh", ["-ec", `${npx}\n${command}`], options)
  deepStrictEqual(stderr, "")
  return stdout === "" ? [] : stdout.trimEnd().split("\n")
}

/** What a program that is saved in the checkout prints. */
async function runProgram(text: string): Promise<string> {
  const words = ["--input-type=module", "--eval", text.replace("127.0.0.1:7400", daemon.grpc)]
  return (await run(process.execPath, words, { cwd: root, timeout: COMMAND_MS })).stdout
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false
    throw error
  }
}
