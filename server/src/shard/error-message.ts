// Errors on their way between threads: structured cloning would lose their class, reason and metadata.

import { EngineError } from "@varve/engines"
import { VarveError } from "@varve/proto"
import { SettingsError } from "../config/settings.ts"

export interface ErrorMessage {
  readonly kind: "engine" | "varve" | "settings" | "other"
  readonly name: string
  readonly reason: string
  readonly message: string
  readonly stack: string
  readonly code: number
  readonly metadata: Readonly<Record<string, string>>
  /** The system's code of the error, and the call that it came from; empty: none. */
  readonly systemCode: string
  readonly syscall: string
  readonly cause: ErrorMessage | undefined
}

/** Causes of causes that are sent along. */
const CAUSES_MAX = 5

/** Plain values only. */
export function encodeError(error: unknown, causesMax: number = CAUSES_MAX): ErrorMessage {
  const is = error instanceof Error ? error : new Error(String(error))
  const fields = is as Error & { code?: unknown; syscall?: unknown }
  return {
    kind:
      is instanceof EngineError
        ? "engine"
        : is instanceof VarveError
          ? "varve"
          : is instanceof SettingsError
            ? "settings"
            : "other",
    name: is.name,
    reason: is instanceof EngineError || is instanceof VarveError ? is.reason : "",
    message: is.message,
    stack: is.stack ?? "",
    code: is instanceof VarveError ? is.code : 0,
    metadata: is instanceof VarveError ? is.metadata : {},
    systemCode: typeof fields.code === "string" ? fields.code : "",
    syscall: typeof fields.syscall === "string" ? fields.syscall : "",
    cause: is.cause === undefined || causesMax === 0 ? undefined : encodeError(is.cause, causesMax - 1),
  }
}

/** An error of the same class, with the stack of the thread where it was made. */
export function decodeError(sent: ErrorMessage): Error {
  const error = errorOf(sent)
  error.stack = sent.stack
  return error
}

function errorOf({
  kind,
  name,
  reason,
  message,
  code,
  metadata,
  systemCode,
  syscall,
  cause,
}: ErrorMessage): Error {
  const options = cause === undefined ? {} : { cause: decodeError(cause) }
  if (kind === "engine") return new EngineError(reason as EngineError["reason"], message, options)
  if (kind === "varve") return new VarveError(reason, message, { ...options, code, metadata })
  if (kind === "settings") return new SettingsError(message)
  const error = Object.assign(new Error(message, options), { name })
  if (systemCode !== "") Object.assign(error, { code: systemCode })
  return syscall === "" ? error : Object.assign(error, { syscall })
}
