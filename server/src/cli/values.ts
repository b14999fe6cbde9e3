// Arguments from text, and bytes as text. Keys and values are bytes: on the command line they are UTF-8, or
// hexadecimal digits with --hex.

import { InvalidArgumentError } from "commander"
import { UsageError } from "./exit-codes.ts"

const HEX = /^(?:[0-9a-fA-F]{2})*$/
const DIGITS = /^\d{1,16}$/
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The bytes that an argument stands for. @throws UsageError when `hex` is set and the text is no hex */
export function parseBytes(text: string, hex: boolean, what: string): Buffer {
  if (!hex) return Buffer.from(text, "utf8")
  if (!HEX.test(text)) {
    throw new UsageError(
      `${what} ${JSON.stringify(text)} is not hexadecimal: an even number of digits 0-9, a-f`,
    )
  }
  return Buffer.from(text, "hex")
}

/** A parser for options and arguments that are whole numbers from `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!DIGITS.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`Allowed: whole numbers from ${least} to ${most}.`)
    }
    return value
  }
}

/** A parser for an option that lists partitions: given several times, or with commas. */
export function collectPartitions(text: string, before: readonly number[] | undefined): number[] {
  return [...(before ?? []), ...text.split(",").map(wholeNumber(0, 2 ** 32 - 1))]
}

/** The text of UTF-8 bytes; `undefined` when they are none. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined // Bytes that are no text are no fault: the caller shows them another way.
  }
}

/** Bytes on one line for people: text as it is, with `\xNN` for what would not show, or hex digits. */
export function printable(bytes: Uint8Array, hex: boolean): string {
  if (hex) return Buffer.from(bytes).toString("hex")
  const text = textOf(bytes)
  if (text !== undefined)
    return text.replace(/[\p{Cc}\\]/gu, (character) => escapeByte(character.charCodeAt(0)))
  return Array.from(bytes, (byte) =>
    byte > 0x1f && byte < 0x7f && byte !== 0x5c ? String.fromCharCode(byte) : escapeByte(byte),
  ).join("")
}

/** The first `characters` of bytes on one line for people, `…` for the rest: text, or hex digits for what is none. */
export function beginning(bytes: Uint8Array, characters: number, hex: boolean): string {
  const text = hex ? undefined : textOf(bytes)
  const all = text === undefined ? Array.from(Buffer.from(bytes).toString("hex")) : Array.from(text)
  const shown = all.slice(0, characters).join("")
  const line = text === undefined ? shown : printable(Buffer.from(shown), false)
  return all.length > characters ? `${line}…` : line
}

/** `14 B`, `2.5 KiB`, `3.1 MiB`. */
export function bytesText(bytes: number | bigint): string {
  let value = Number(bytes)
  const units = ["B", "KiB", "MiB", "GiB"]
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** `1 version`, `0 versions`, `2 versions`. */
export function countText(count: number | bigint, word: string): string {
  return `${count} ${Number(count) === 1 ? word : `${word}s`}`
}

/** `0.4 ms`, `2.5 s`. */
export function secondsText(seconds: number): string {
  return seconds < 1 ? `${(seconds * 1000).toFixed(seconds < 0.01 ? 2 : 0)} ms` : `${seconds.toFixed(1)} s`
}

/** ISO time of `ms` since 1970; `-` for 0. */
export function timeText(ms: bigint): string {
  return ms === 0n ? "-" : new Date(Number(ms)).toISOString()
}

function escapeByte(code: number): string {
  return code === 0x5c
    ? "\\\\"
    : code > 0xff
      ? `\\u{${code.toString(16)}}`
      : `\\x${code.toString(16).padStart(2, "0")}`
}
