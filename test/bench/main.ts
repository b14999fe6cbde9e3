// `npm run bench [-- engines|wire|snapshots …] [--json FILE]`: Varve against its peers, side by side in one run.
// Every figure that the documents give comes from here.

import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { describeMachine } from "./machine.ts"
import type { SuiteResult } from "./suite.ts"

// A suite is loaded when it is asked for: each needs other peers and packages.
const suites: Readonly<Record<string, () => Promise<SuiteResult>>> = {
  engines: async () => (await import("./engines.ts")).benchEngines(),
  wire: async () => (await import("./wire.ts")).benchWire(),
  snapshots: async () => (await import("./snapshots.ts")).benchSnapshots(),
}

const { values, positionals } = parseArgs({
  options: { json: { type: "string" } },
  allowPositionals: true,
})
const unknown = positionals.find((name) => suites[name] === undefined)
if (unknown !== undefined) {
  process.stderr.write(`no suite ${unknown}; there are ${Object.keys(suites).join(", ")}\n`)
  process.exit(2)
}

const machine = describeMachine()
console.log(
  `${machine.processor}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}, Node ${machine.node}`,
)
const results: SuiteResult[] = []
for (const name of positionals.length > 0 ? positionals : Object.keys(suites)) {
  console.log(`\n== ${name}`)
  const result = await suites[name]!()
  for (const [parameter, value] of Object.entries(result.parameters)) console.log(`   ${parameter}: ${value}`)
  for (const line of result.lines) console.log(line)
  results.push(result)
}
if (values.json !== undefined) {
  const document = {
    machine,
    at: new Date().toISOString(),
    results: results.map(({ lines: _, ...rest }) => rest),
  }
  writeFileSync(values.json, `${JSON.stringify(document, undefined, 2)}\n`)
}
