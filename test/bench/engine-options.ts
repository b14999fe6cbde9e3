// Options of the `engines` suite: text from the command line, checked once.

import { engineNames } from "@varve/engines"
import { workloads } from "./engine-cases.ts"

const contenderNames: readonly string[] = [...engineNames, "lmdb", "classic-level", "rocksdb"]

export interface EngineOptions {
  readonly keyCounts: readonly number[]
  readonly workloads: readonly string[]
  readonly contenders: readonly string[]
  readonly rounds: number
  readonly seconds: number
  /** Memory of the runs beyond memory, in bytes. */
  readonly budgetBytes: number
}

/** As they are written: `parseArgs` of node:util takes this. */
export const engineOptionTable = {
  keys: { type: "string" },
  workloads: { type: "string" },
  contenders: { type: "string" },
  rounds: { type: "string" },
  seconds: { type: "string" },
  "budget-mib": { type: "string" },
  full: { type: "boolean" },
} as const

export type EngineOptionTexts = { readonly [name in keyof typeof engineOptionTable]?: string | boolean }

const KEYS_MIN = 1000
/** Key numbers times the stride that spreads them stay exact in a double. */
const KEYS_MAX = 50_000_000

/** A command line that says what cannot be done. */
export class OptionError extends Error {}

/** @throws OptionError that names the option, its value and what is allowed */
export function parseEngineOptions(texts: EngineOptionTexts): EngineOptions {
  const full = texts.full === true
  return {
    keyCounts: countsOf(texts.keys ?? (full ? "1e5,1e6,1e7" : "1e5,1e6")),
    workloads: namesOf(
      "workloads",
      texts.workloads,
      workloads.map(({ name }) => name),
    ),
    contenders: namesOf("contenders", texts.contenders, contenderNames),
    rounds: numberOf("rounds", texts.rounds ?? (full ? "5" : "3"), 1, 100, true),
    seconds: numberOf("seconds", texts.seconds ?? "1", 0.01, 600, false),
    budgetBytes: numberOf("budget-mib", texts["budget-mib"] ?? "64", 1, 4096, true) * 2 ** 20,
  }
}

/** Numbers of keys. @throws OptionError */
export function countsOf(text: string | boolean): number[] {
  return listOf(text).map((each) => numberOf("keys", each, KEYS_MIN, KEYS_MAX, true))
}

function listOf(text: string | boolean): string[] {
  return String(text).split(",")
}

/** One number. @throws OptionError */
export function numberOf(
  option: string,
  text: string | boolean,
  min: number,
  max: number,
  isWhole: boolean,
): number {
  const number = String(text).trim() === "" ? Number.NaN : Number(text)
  if (!(number >= min && number <= max) || (isWhole && !Number.isInteger(number))) {
    throw new OptionError(`--${option} ${text}: a${isWhole ? " whole" : ""} number from ${min} to ${max}`)
  }
  return number
}

/** Names of `known`, all of them by default. @throws OptionError */
export function namesOf(
  option: string,
  text: string | boolean | undefined,
  known: readonly string[],
): string[] {
  if (text === undefined) return [...known]
  const names = listOf(text)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new OptionError(`--${option} ${unknown}: not one of ${known.join(", ")}`)
  }
  return [...new Set(names)]
}
