// What callers hand over as options, checked before anything is done: a misspelt option that is silently dropped
// makes another call of it (a restore of the newest version, a scan of everything).

import { VarveError } from "@varve/proto"
import type { CallOptions, DeleteOptions, PointOptions, SetOptions, WriteOptions } from "./options.ts"
import type {
  PinOptions,
  RestoreOptions,
  ScanOptions,
  SnapshotOptions,
  VersionOptions,
} from "./state-types.ts"

const CALL = ["deadlineMs", "signal"] as const satisfies readonly (keyof CallOptions)[]
const POINT = ["partition", ...CALL] as const satisfies readonly (keyof PointOptions)[]
const VERSION = ["version", "timeline", ...CALL] as const satisfies readonly (keyof VersionOptions)[]

/** The options that each call knows. */
const known = {
  get: POINT,
  set: ["ifAbsent", "ifValue", ...POINT] satisfies readonly (keyof SetOptions)[],
  delete: ["ifValue", ...POINT] satisfies readonly (keyof DeleteOptions)[],
  getMany: POINT,
  write: ["atomic", "expected", ...POINT] satisfies readonly (keyof WriteOptions)[],
  scan: ["prefix", "start", "end", "keysOnly", "limit", ...POINT] satisfies readonly (keyof ScanOptions)[],
  snapshot: ["version", "metadata", "partitions", ...CALL] satisfies readonly (keyof SnapshotOptions)[],
  restore: [
    "version",
    "timeline",
    "replaced",
    "fallback",
    "mode",
    "partitions",
    ...CALL,
  ] satisfies readonly (keyof RestoreOptions)[],
  listSnapshots: ["partitions", ...CALL],
  deleteSnapshot: VERSION,
  pinSnapshot: ["pinned", "name", ...VERSION] satisfies readonly (keyof PinOptions)[],
  describe: CALL,
} as const satisfies Record<string, readonly string[]>

/**
 * Refuses options that are no object, that the call does not know, or whose signal is none. Nothing given is fine.
 * @throws VarveError `REQUEST_INVALID`
 */
export function checkCallOptions(call: keyof typeof known, options: unknown): void {
  if (options === undefined) return
  checkNames(call, options, known[call])
  const { signal } = options as CallOptions
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    throw invalid(`${call}: signal is an AbortSignal, not ${shown(signal)}`)
  }
}

/** The same for a call that cannot do without. @throws VarveError `REQUEST_INVALID` */
export function checkNeededOptions(call: keyof typeof known, options: unknown): void {
  if (options === undefined) {
    throw invalid(`${call} needs its options: an object with ${known[call].join(", ")}`)
  }
  checkCallOptions(call, options)
}

/** @throws VarveError `REQUEST_INVALID` unless `options` is an object with nothing but `names` */
export function checkNames(call: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalid(`the options of ${call} are an object with ${names.join(", ")}, not ${shown(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw invalid(`${call} has no option ${name}; known: ${names.join(", ")}`)
  }
}

/** @throws VarveError `REQUEST_INVALID` unless `value` is a text or absent */
export function toText(value: string | undefined, what: string): string {
  if (value === undefined) return ""
  if (typeof value === "string" && value.isWellFormed()) return value
  throw invalid(`${what} is a string, not ${shown(value)}`)
}

/** @throws VarveError `REQUEST_INVALID` unless `value` is a boolean or absent */
export function toFlag(value: boolean | undefined, what: string): boolean {
  if (value === undefined || typeof value === "boolean") return value ?? false
  throw invalid(`${what} is true or false, not ${shown(value)}`)
}

/** @throws VarveError `REQUEST_INVALID` unless `value` is an array; `content` says of what */
export function checkArray(value: unknown, what: string, content: string): void {
  if (!Array.isArray(value)) throw invalid(`${what} is an array of ${content}, not ${shown(value)}`)
}

/** A value in a message: short, whatever it is. */
export function shown(value: unknown): string {
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value)
  if (typeof value === "string") return `the string ${JSON.stringify(value.slice(0, SHOWN_MAX))}`
  if (value === undefined) return "undefined"
  if (Array.isArray(value)) return "an array"
  return typeof value === "object" ? "an object" : `a ${typeof value}`
}

const SHOWN_MAX = 60

function invalid(message: string): VarveError {
  return new VarveError("REQUEST_INVALID", message)
}
