// The Helm chart, rendered with given values, and the checks of its schema. Go's template engine renders it
// (`render-chart/main.go`), from Debian's packages; the program is compiled once and kept in the user's cache.

import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Ajv, type ValidateFunction } from "ajv"
import { parse } from "yaml"

const helm = fileURLToPath(new URL("../../deploy/helm", import.meta.url))
const chart = join(helm, "varve")
const program = fileURLToPath(new URL("render-chart/main.go", import.meta.url))
/** Where Debian's packages put sources of Go libraries. */
const goPath = "/usr/share/gocode"
const sprig = join(goPath, "src/github.com/Masterminds/sprig")

type Tree = Record<string, unknown>

/** Values to try the chart with, by name; the first are its own. Each has its output beside, `rendered/NAME.yaml`. */
export function valuesFiles(): Map<string, string> {
  const examples = readdirSync(join(helm, "examples")).map((file): [string, string] => [
    file.replace(/\.yaml$/, ""),
    readFileSync(join(helm, "examples", file), "utf8"),
  ])
  return new Map([["defaults", ""], ...examples])
}

export function renderedPath(name: string): string {
  return join(helm, "rendered", `${name}.yaml`)
}

/** The chart's documents for a release `varve` in the namespace `state`. @throws what a template throws */
export function renderChart(values: string): string {
  const rendered = execFileSync(renderer(), [chart, "varve", "state"], {
    input: values,
    encoding: "utf8",
    stdio: "pipe",
  })
  return `# What the chart makes of these values; ${writeCommand} writes it anew.\n${rendered}`
}

export const writeCommand = "`npx tsx test/deploy/write-rendered.ts`"

/** The program that renders, compiled when it is not in the cache. @throws when Go or sprig is missing */
function renderer(): string {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "varve-test")
  const hash = createHash("sha256").update(readFileSync(program)).digest("hex").slice(0, 16)
  const path = join(cache, `render-chart-${hash}`)
  if (existsSync(path)) return path
  if (!existsSync(sprig)) throw new Error(`${sprig} missing: run test/install-servers.sh`)
  mkdirSync(cache, { recursive: true })
  const draft = `${path}.${process.pid}`
  execFileSync("go", ["build", "-o", draft, program], {
    env: { ...process.env, GO111MODULE: "off", GOPATH: goPath, GOCACHE: join(cache, "go"), GOFLAGS: "" },
    stdio: "pipe",
  })
  renameSync(draft, path)
  return path
}

/** What `values.schema.json` says against values on top of the chart's own, as Helm merges them; empty: nothing. */
export function valueFaults(values: string): string[] {
  const own = (parse(values) ?? {}) as Tree
  const merged = merge(parse(readFileSync(join(chart, "values.yaml"), "utf8")) as Tree, own)
  const isValid = schema()
  if (isValid(merged)) return []
  return isValid.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`)
}

let compiled: ValidateFunction | undefined

function schema(): ValidateFunction {
  compiled ??= new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }).compile(
    JSON.parse(readFileSync(join(chart, "values.schema.json"), "utf8")) as object,
  )
  return compiled
}

function merge(defaults: Tree, own: Tree): Tree {
  const result = { ...defaults }
  for (const [key, value] of Object.entries(own)) {
    if (value === null) delete result[key]
    else result[key] = isMap(value) && isMap(result[key]) ? merge(result[key], value) : value
  }
  return result
}

function isMap(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
