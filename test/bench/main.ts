// Varve against its peers, side by side in one run. Every figure that the documents give comes from here.
//
//   npm run bench [-- engines|wire|shards|durability|kills|snapshots|images|attacks|overload …] [--json FILE]
//                 [options of engines, snapshots, wire]

import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { endOnSignals, interrupted } from "./endings.ts"
import { type EngineOptions, engineOptionTable, OptionError, parseEngineOptions } from "./engine-options.ts"
import { type ImageOptions, imageOptionTable, parseImageOptions } from "./image-options.ts"
import { describeMachine } from "./machine.ts"
import { removeScratchRoot } from "./scratch.ts"
import { parseSnapshotOptions, type SnapshotOptions, snapshotOptionTable } from "./snapshot-options.ts"
import type { SuiteResult } from "./suite.ts"
import { parseWireOptions, type WireOptions, wireOptionTable } from "./wire-options.ts"

interface Command {
  readonly suites: readonly string[]
  readonly json: string | undefined
  readonly options: Options
}

interface Options {
  readonly images: ImageOptions
  readonly engines: EngineOptions
  readonly snapshots: SnapshotOptions
  readonly wire: WireOptions
}

// A suite is loaded when it is asked for: each needs other peers and packages.
const suites: Readonly<Record<string, (options: Options) => Promise<SuiteResult>>> = {
  engines: async (options) => (await import("./engines.ts")).benchEngines(options.engines),
  wire: async (options) => (await import("./wire.ts")).benchWire(options.wire),
  shards: async () => (await import("./shards.ts")).benchShards(),
  durability: async () => (await import("./durability.ts")).benchDurability(),
  kills: async () => (await import("./durability.ts")).benchKills(),
  snapshots: async (options) => (await import("./snapshots.ts")).benchSnapshots(options.snapshots),
  images: async (options) => (await import("./images.ts")).benchImages(options.images),
  attacks: async () => (await import("./attacks.ts")).benchAttacks(),
  overload: async () => (await import("./overload.ts")).benchOverload(),
}

const optionTables: Readonly<Record<string, object>> = {
  engines: engineOptionTable,
  images: imageOptionTable,
  snapshots: snapshotOptionTable,
  wire: wireOptionTable,
}

/** What can be asked for. */
function usage(): string {
  const names = Object.keys(suites)
  const width = Math.max(...names.map((name) => name.length))
  const lines = names.map((name) => {
    const options = Object.entries((optionTables[name] ?? {}) as Record<string, { readonly type: string }>)
    const words = options.map(([option, { type }]) => `--${option}${type === "string" ? " …" : ""}`)
    return `  ${name.padEnd(width)}  ${words.join(" ")}`.trimEnd()
  })
  return [
    "npm run bench -- [SUITE …] [--json FILE] [options of the suites]",
    "",
    "Suites, all of them by default, and their options:",
    ...lines,
    "",
    "What each measures and what the options take: test/bench/README.md",
  ].join("\n")
}

/** @throws OptionError */
function parseCommand(words: readonly string[]): Command {
  const options = {
    json: { type: "string" },
    ...engineOptionTable,
    ...imageOptionTable,
    ...snapshotOptionTable,
    ...wireOptionTable,
  } as const
  const { values, positionals } = parsed(() =>
    parseArgs({ args: [...words], options, allowPositionals: true }),
  )
  const known = Object.keys(suites)
  const unknown = positionals.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new OptionError(`no suite ${unknown}; there are ${known.join(", ")}`)
  const { json, ...texts } = values
  const asked = positionals.length > 0 ? positionals : known
  checkOptions(Object.keys(texts), asked)
  return {
    suites: asked,
    json,
    options: {
      engines: parseEngineOptions(texts),
      images: parseImageOptions(texts),
      snapshots: parseSnapshotOptions(texts),
      wire: parseWireOptions(texts),
    },
  }
}

/** @throws OptionError when an option belongs to no suite that is asked for */
function checkOptions(given: readonly string[], asked: readonly string[]): void {
  for (const option of given) {
    const suitesOf = Object.keys(optionTables).filter((suite) => option in optionTables[suite]!)
    if (suitesOf.some((suite) => asked.includes(suite))) continue
    throw new OptionError(`--${option} is an option of the suite ${suitesOf.join(" and of the suite ")}`)
  }
}

function parsed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error))
  }
}

async function run({ suites: names, json, options }: Command): Promise<void> {
  const machine = describeMachine()
  console.log(
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}, Node ${machine.node}`,
  )
  const results: SuiteResult[] = []
  for (const name of names) {
    console.log(`\n== ${name}`)
    const result = await suites[name]!(options)
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
  const words = process.argv.slice(2)
  if (words.includes("--help") || words.includes("-h")) console.log(usage())
  else await run(parseCommand(words))
} catch (error) {
  if (error instanceof OptionError) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 2
  } else if (!interrupted()) throw error
} finally {
  if (!interrupted()) await removeScratchRoot()
}
