// Options of the `wire` suite: text from the command line, checked once.

import { namesOf, numberOf } from "./engine-options.ts"

/** Whom Varve is measured against. */
const wirePeers = ["redis", "etcd"] as const

export interface WireOptions {
  /** How many calls are on their way at a time. */
  readonly callers: readonly number[]
  readonly valueBytes: readonly number[]
  readonly peers: readonly string[]
  readonly rounds: number
  /** Of one round of one measurement. */
  readonly seconds: number
  /** Where profiles of client and daemon go, which are taken in place of the comparison. */
  readonly profile: string | undefined
}

/** As they are written: `parseArgs` of node:util takes this. */
export const wireOptionTable = {
  callers: { type: "string" },
  "value-bytes": { type: "string" },
  peers: { type: "string" },
  rounds: { type: "string" },
  seconds: { type: "string" },
  profile: { type: "string" },
} as const

export type WireOptionTexts = { readonly [name in keyof typeof wireOptionTable]?: string | boolean }

const CALLERS_MAX = 65_536
const VALUE_BYTES_MAX = 65_536

/** @throws OptionError that names the option, its value and what is allowed */
export function parseWireOptions(texts: WireOptionTexts): WireOptions {
  const listOf = (name: "callers" | "value-bytes", standard: string, max: number): number[] =>
    String(texts[name] ?? standard)
      .split(",")
      .map((text) => numberOf(name, text, 1, max, true))
  return {
    callers: listOf("callers", "1,64,512,4096", CALLERS_MAX),
    valueBytes: listOf("value-bytes", "100,1024", VALUE_BYTES_MAX),
    peers: texts.peers === "none" ? [] : namesOf("peers", texts.peers, wirePeers),
    rounds: numberOf("rounds", texts.rounds ?? "3", 1, 100, true),
    seconds: numberOf("seconds", texts.seconds ?? "1", 0.01, 600, false),
    profile: texts.profile === undefined ? undefined : String(texts.profile),
  }
}
