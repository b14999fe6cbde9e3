// The page of the command line says what the program says of itself: every command, every option, every exit code.

import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { runVarveHere } from "./run-varve.ts"

const readme = readFileSync(new URL("../../server/src/cli/README.md", import.meta.url), "utf8")

async function help(command: readonly string[]): Promise<string> {
  return (await runVarveHere([...command, "--help"])).stdout.toString()
}

/** The commands below `command`, as its help lists them. */
function commandsOf(text: string): string[] {
  const listed = text.split(/^Commands:$/m)[1]?.split(/^\S/m)[0] ?? ""
  return [...listed.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name!).filter((name) => name !== "help")
}

function optionsOf(text: string): string[] {
  return [...text.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name]) => name!)
}

test("README: every command and every option of --help", async () => {
  const missing: string[] = []
  let options = 0
  const visit = async (command: readonly string[]): Promise<void> => {
    const text = await help(command)
    const below = commandsOf(text)
    const name = command.at(-1)
    if (name !== undefined && !new RegExp(`\`(?:varve (?:\\w+ )*)?${name}\\b`).test(readme))
      missing.push(command.join(" "))
    // The flags of `serve` are its settings: their table is in server/README.md, under a test of its own.
    const own =
      name === "serve" ? [] : optionsOf(text).filter((option) => !["--help", "--version"].includes(option))
    options += own.length
    missing.push(...own.filter((option) => !readme.includes(`\`${option}`)))
    for (const each of below) await visit([...command, each])
  }
  await visit([])
  expect(options).toBeGreaterThan(50)
  expect(missing).toEqual([])
})

test("README: the table of exit codes is the one of --help", async () => {
  const documented = [...readme.matchAll(/^\| (\d+) \| (.+) \|$/gm)].map(
    ([, code, meaning]) => `${code}  ${meaning}`,
  )
  const printed = [...(await help([])).matchAll(/^ {2,4}(\d+ {2}\S.+)$/gm)].map(([, line]) => line)
  expect(documented.length).toBeGreaterThan(5)
  expect(documented).toEqual(printed)
})
