// What commands print. For programs: one JSON document (a scan: one a line). For people: tables.
//
// In JSON, 64-bit numbers are numbers as long as they are exact, else decimal strings. Bytes that are UTF-8
// come as a string, others as {"hex": "…"}; with --hex all of them.

import Table from "cli-table3"
import { textOf } from "./values.ts"

/** The JSON text of a message. */
export function toJson(message: unknown, hex: boolean): string {
  return JSON.stringify(plain(message, hex))
}

/** A table with a line under its head, no colours: it reads the same in a pipe and in a log. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number | bigint)[])[],
): string {
  const drawing = new Table({ head: [...head], style: { head: [], border: [], compact: true } })
  for (const row of rows) drawing.push(row.map(String))
  return drawing.toString()
}

function plain(value: unknown, hex: boolean): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (value instanceof Uint8Array) {
    const text = hex ? undefined : textOf(value)
    return text ?? { hex: Buffer.from(value).toString("hex") }
  }
  if (Array.isArray(value)) return value.map((item) => plain(item, hex))
  if (value instanceof Map) return plain(Object.fromEntries(value), hex)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, hex)]))
}
