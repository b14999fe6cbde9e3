// What the command line's exit codes mean: one table, from which errors get their code and `--help` its text.

import { isVarveError, type Reason, VarveError } from "@varve/proto"

/** Exit codes by name. They are stable: scripts compare them. */
export const exitCodes = {
  ok: { code: 0, meaning: "done" },
  notFound: { code: 1, meaning: "the key, store or version is not there" },
  usage: { code: 2, meaning: "the command line or a setting is wrong" },
  refused: { code: 3, meaning: "the daemon refused the call: it is invalid or does not fit the state" },
  unreachable: { code: 4, meaning: "no daemon answers at the address, or not in time" },
  dataLoss: { code: 5, meaning: "stored bytes are damaged, or a restore drill has failed" },
  busy: {
    code: 6,
    meaning:
      "not now: the daemon is overloaded, full or going down, or another one has its directory; try again",
  },
  conditionFailed: {
    code: 7,
    meaning: "a condition (--if-absent, --if-value) does not hold: nothing was written",
  },
  failed: { code: 70, meaning: "a fault in the software, or storage that is out of service" },
  interrupted: { code: 130, meaning: "ended by Ctrl-C (SIGINT); bench has deleted its keys" },
} as const satisfies Record<string, { readonly code: number; readonly meaning: string }>

export type ExitName = keyof typeof exitCodes

const exitNameOfReason: Readonly<Record<string, ExitName>> = {
  CONNECTION_LOST: "unreachable",
  DEADLINE_PASSED: "unreachable",
  CANCELLED: "unreachable",
  UNIMPLEMENTED: "unreachable",
  DATA_LOSS: "dataLoss",
  RESTORE_IN_PROGRESS: "busy",
  CONDITION_FAILED: "conditionFailed",
  MESSAGE_TOO_LARGE: "refused",
  STORAGE_FAILED: "failed",
  REPOSITORY_FAILED: "failed",
  ENGINE_POISONED: "failed",
  DIRECTORY_LOCKED: "busy",
  INTERNAL: "failed",
}

/** Canonical gRPC codes for reasons that have no line above, also those of newer daemons. */
const exitNameOfCode: Readonly<Record<number, ExitName>> = {
  3: "refused", // INVALID_ARGUMENT
  5: "notFound", // NOT_FOUND
  6: "refused", // ALREADY_EXISTS
  8: "busy", // RESOURCE_EXHAUSTED
  9: "refused", // FAILED_PRECONDITION
  10: "refused", // ABORTED
  11: "refused", // OUT_OF_RANGE
  14: "busy", // UNAVAILABLE, answered by a daemon that is there
  15: "dataLoss", // DATA_LOSS
}

/** What a start meets that may pass, or needs the operator's hand; whatever else refuses one is `failed`. */
const exitNameOfStart: Readonly<Record<string, ExitName>> = {
  DIRECTORY_LOCKED: "busy",
  STORAGE_FULL: "busy",
  DATA_LOSS: "dataLoss",
}

/** Without a daemon these are about the command line and its environment. */
const SETTING_REASONS: readonly string[] = ["SETTING_INVALID", "REPOSITORY_URL_INVALID"]

/** The exit code for an error of a call. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return exitCodes.usage.code
  if (!isVarveError(error)) return exitCodes.failed.code
  if (error instanceof OfflineError && SETTING_REASONS.includes(error.reason)) return exitCodes.usage.code
  return exitCodes[exitNameOfReason[error.reason] ?? exitNameOfCode[error.code] ?? "failed"].code
}

/** The exit code of a daemon that did not start, settings apart. */
export function exitCodeOfStart(error: unknown): number {
  const reason = error instanceof Error && "reason" in error ? String(error.reason) : ""
  return exitCodes[exitNameOfStart[reason] ?? "failed"].code
}

/** A command line that cannot be carried out; nothing was asked of a daemon. */
export class UsageError extends Error {
  override readonly name = "UsageError"
}

/** A failure of work on a repository without a daemon. */
export class OfflineError extends VarveError {
  /** @param cause of the engines: its reason and message stay */
  constructor(cause: Error & { readonly reason: Reason }) {
    super(cause.reason, cause.message, { cause })
  }
}

/** The table as `--help` prints it. */
export function describeExitCodes(): string {
  const lines = Object.values(exitCodes).map(
    ({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`,
  )
  return ["Exit codes:", ...lines].join("\n")
}
