// Options of the `snapshots` suite: text from the command line, checked once.

import { engineNames } from "@varve/engines"
import { countsOf, namesOf } from "./engine-options.ts"

/** What can be measured of a subject. */
export const snapshotParts = ["seals", "increments", "latency", "restores"] as const
export type SnapshotPart = (typeof snapshotParts)[number]

export interface SnapshotOptions {
  readonly keyCounts: readonly number[]
  readonly engines: readonly string[]
  readonly parts: readonly string[]
  /** How often things are repeated: all of it, or just enough to see that it works. */
  readonly isTrial: boolean
}

/** As they are written: `parseArgs` of node:util takes this. */
export const snapshotOptionTable = {
  keys: { type: "string" },
  engines: { type: "string" },
  parts: { type: "string" },
  full: { type: "boolean" },
  trial: { type: "boolean" },
} as const

export type SnapshotOptionTexts = { readonly [name in keyof typeof snapshotOptionTable]?: string | boolean }

/** @throws OptionError that names the option, its value and what is allowed */
export function parseSnapshotOptions(texts: SnapshotOptionTexts): SnapshotOptions {
  return {
    keyCounts: countsOf(texts.keys ?? (texts.full === true ? "1e4,1e6,1e7" : "1e4,1e6")),
    engines: namesOf("engines", texts.engines, engineNames),
    parts: namesOf("parts", texts.parts, snapshotParts),
    isTrial: texts.trial === true,
  }
}
