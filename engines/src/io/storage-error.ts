// What the operating system says, as an EngineError: no space left is told apart from everything else, because
// it heals by itself and the rest does not.

import { EngineError } from "../base/error.ts"

/** Codes of the system that mean "no space": the disk is full, or the quota is used up. */
const CODES_FULL: readonly string[] = ["ENOSPC", "EDQUOT"]

/** `STORAGE_FULL` or `STORAGE_FAILED`, with the act and the path in the message and the system's error as cause. */
export function storageError(act: string, path: string, cause: unknown): EngineError {
  const reason = CODES_FULL.includes(systemCode(cause) ?? "") ? "STORAGE_FULL" : "STORAGE_FAILED"
  const words = cause instanceof Error ? cause.message : String(cause)
  return new EngineError(reason, `cannot ${act} ${path}: ${words}`, { cause })
}

/** `ENOENT` and the like; undefined when `error` does not come from the system. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined
  return typeof error.code === "string" ? error.code : undefined
}

/** True when `error` says that a file, or a directory above it, does not exist. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error)
  return code === "ENOENT" || code === "ENOTDIR"
}
