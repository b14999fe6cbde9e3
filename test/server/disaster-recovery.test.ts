// "Disaster recovery drill" in deploy/recovery.md, word for word: the shell blocks of that section are run in their
// order, after the function that they use. They make a daemon, lose its machine, bring its state back from a copy and
// compare, so what goes wrong here is what a reader would meet.

import { deepStrictEqual, match, strictEqual } from "node:assert"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { test } from "vitest"

const guide = await readFile(new URL("../../deploy/recovery.md", import.meta.url), "utf8")
const programs = fileURLToPath(new URL("../../node_modules/.bin", import.meta.url))

const STEPS = 8
/** Nothing outlives the shell, wherever it stops; `-e`, `-u` and `pipefail` let no step fail unseen. */
const PRELUDE = "set -euo pipefail\ntrap 'kill -KILL $(jobs -p) 2> /dev/null || true' EXIT\n"

/** Fenced blocks of `text` whose first line is ```` ```sh ````, with `name` behind it if given. */
function shellBlocks(text: string, name = ""): string[] {
  const opening = name === "" ? "```sh" : `\`\`\`sh name=${name}`
  return text
    .split(/^(?=```sh)/m)
    .filter((part) => part.startsWith(`${opening}\n`))
    .map((part) => part.slice(opening.length + 1, part.indexOf("```", opening.length)))
}

async function runShell(
  script: string,
  environment: NodeJS.ProcessEnv,
): Promise<{ code: unknown; text: string }> {
  const shell = spawn("bash", ["-x", "-c", script], { env: environment, stdio: ["ignore", "pipe", "pipe"] })
  let text = ""
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.on("data", (part: Buffer) => {
      text += part.toString()
    })
  }
  const [code] = (await once(shell, "close")) as [number | null]
  return { code, text }
}

test("the disaster recovery drill is true, step by step", async () => {
  const section = guide.split(/^## /m).find((part) => part.startsWith("Disaster recovery drill"))!
  const steps = shellBlocks(section)
  strictEqual(steps.length, STEPS)
  const directory = await mkdtemp(join(tmpdir(), "varve-drill-"))
  try {
    const script = [PRELUDE, ...shellBlocks(guide, "copy"), ...steps, "echo every step is done"].join("\n")
    const { code, text } = await runShell(script, {
      ...process.env,
      TMPDIR: directory,
      PATH: `${programs}:${process.env["PATH"]}`,
    })
    strictEqual(code, 0, text)
    match(text, /^nothing is damaged: 8 versions of partitions/m)
    match(text, /^version 2 can be restored/m)
    match(text, /^every step is done$/m)
    deepStrictEqual(await readdir(directory), [])
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
