// What the decoders of this folder share: how damage is told, and integers wider than 32 bits.

import { EngineError } from "../base/error.ts"

const U32_SPAN = 0x1_0000_0000

/** Damage of an object or a part of one; `name` says which, `what` says what is wrong with it. */
export function damaged(name: string, what: string): EngineError {
  return new EngineError("DATA_LOSS", `${name} is damaged: ${what}`, { object: name })
}

/** Whole bytes of a format that this software does not know yet. */
export function tooNew(name: string, format: number, known: number): EngineError {
  return new EngineError(
    "FORMAT_NEWER",
    `${name} has format ${format}; this software reads formats up to ${known}: use a newer one`,
  )
}

/** Writes an integer of up to 53 bits as a u64, little-endian. */
export function setUint53(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % U32_SPAN, true)
  view.setUint32(offset + 4, Math.floor(value / U32_SPAN), true)
}

/** Reads a u64, little-endian; above 2^53 - 1 the result is no safe integer. */
export function getUint53(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * U32_SPAN
}

/** 16 bytes from 32 hex digits. */
export function idBytes(id: string): Uint8Array {
  return Buffer.from(id, "hex")
}

/** Lower-case hex digits of `source[start, end)`. */
export function hexOf(source: Uint8Array, start: number, end: number): string {
  return Buffer.from(source.buffer, source.byteOffset + start, end - start).toString("hex")
}
