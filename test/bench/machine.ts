// What the figures were measured on.

import { readFileSync } from "node:fs"
import { cpus, release, totalmem, type } from "node:os"

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGb: number
  readonly system: string
  readonly node: string
}

/** The machine that runs this process. */
export function describeMachine(): Machine {
  const all = cpus()
  return {
    processor: all[0]?.model ?? "unknown",
    cores: all.length,
    memoryGb: Math.round(totalmem() / 1e9),
    system: `${type()} ${release()}`,
    node: process.version,
  }
}

/** The version of a package of this repository's node_modules. */
export function packageVersion(name: string): string {
  const path = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version
}
