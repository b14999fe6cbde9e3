// Keys and values as callers give them.

/// <reference lib="es2024.string" />

import { VarveError } from "@varve/proto"
import { shown } from "./check-options.ts"

/** Text is sent as UTF-8. */
export type Bytes = string | Uint8Array

export const EMPTY: Uint8Array = new Uint8Array(0)

/**
 * The bytes: those of the caller, or new ones of a text. A text with half a surrogate pair is refused: UTF-8 has no
 * bytes for it, and different keys would become one.
 * @throws VarveError `REQUEST_INVALID`
 */
export function toBytes(value: Bytes, what: string): Uint8Array {
  if (typeof value === "string") {
    if (value.isWellFormed()) return Buffer.from(value, "utf8")
    throw new VarveError(
      "REQUEST_INVALID",
      `the ${what} is a text with half a surrogate pair: pass bytes instead`,
    )
  }
  if (value instanceof Uint8Array) return value
  throw new VarveError("REQUEST_INVALID", `the ${what} is a string or a Uint8Array, not ${shown(value)}`)
}
