// `npm run bench [-- engines|wire|durability|kills|snapshots …] [--json FILE] [options of engines]`: Varve against its
// peers, side by side in one run. Every figure that the documents give comes from here.

import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { endOnSignals, interrupted } from "./endings.ts"
import { type EngineOptions, engineOptionTable, OptionError, parseEngineOptions } from "./engine-options.ts"
import { describeMachine } from "./machine.ts"
import { removeScratchRoot } from "./scratch.ts"
import type { SuiteResult } from "./suite.ts"

interface Command {
  readonly suites: readonly string[]
  readonly json: string | undefined
  readonly engineOptions: EngineOptions
}

// A suite is loaded when it is asked for: each needs other peers and packages.
const suites: Readonly<Record<string, (options: EngineOptions) => Promise<SuiteResult>>> = {
  engines: async (options) => (await import("./engines.ts")).benchEngines(options),
  wire: async () => (await import("./wire.ts")).benchWire(),
  durability: async () => (await import("./durability.ts")).benchDurability(),
  kills: async () => (await import("./durability.ts")).benchKills(),
  snapshots: async () => (await import("./snapshots.ts")).benchSnapshots(),
}

/** @throws OptionError */
function parseCommand(words: readonly string[]): Command {
  const options = { json: { type: "string" }, ...engineOptionTable } as const
  const { values, positionals } = parsed(() =>
    parseArgs({ args: [...words], options, allowPositionals: true }),
  )
  const known = Object.keys(suites)
  const unknown = positionals.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new OptionError(`no suite ${unknown}; there are ${known.join(", ")}`)
  const { json, ...engineTexts } = values
  const asked = positionals.length > 0 ? positionals : known
  const [stray] = asked.includes("engines") ? [] : Object.keys(engineTexts)
  if (stray !== undefined) throw new OptionError(`--${stray} is an option of the suite engines`)
  return { suites: asked, json, engineOptions: parseEngineOptions(engineTexts) }
}

function parsed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error))
  }
}

async function run({ suites: names, json, engineOptions }: Command): Promise<void> {
  const machine = describeMachine()
  console.log(
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}, Node ${machine.node}`,
  )
  const results: SuiteResult[] = []
  for (const name of names) {
    console.log(`\n== ${name}`)
    const result = await suites[name]!(engineOptions)
    for (const [parameter, value] of Object.entries(result.parameters))
      console.log(`   ${parameter}: ${value}`)
    for (const line of result.lines) console.log(line)
    results.push(result)
  }
  if (json === undefined) return
  const document = {
    machine,
    at: new Date().toISOString(),
    results: results.map(({ lines: _, ...rest }) => rest),
  }
  writeFileSync(json, `${JSON.stringify(document, undefined, 2)}\n`)
}

endOnSignals()
try {
  await run(parseCommand(process.argv.slice(2)))
} catch (error) {
  if (error instanceof OptionError) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 2
  } else if (!interrupted()) throw error
} finally {
  if (!interrupted()) await removeScratchRoot()
}
