// Small documents that somebody may have to read at night, and that must never be half believed:
//
//   document := JSON (one line, UTF-8) "\n" sha256 of that line without its newline (64 hex digits) "\n"
//
// `head -1 FILE` shows it; `head -1 FILE | tr -d '\n' | sha256sum` proves it.

import { createHash } from "node:crypto"
import { z } from "zod"
import { EngineError } from "./error.ts"

const NEWLINE = 0x0a
/** Newline, 64 hex digits, newline. */
const SEAL_BYTES = 66

export interface SealedJsonForm<Document> {
  /** For messages: path or key. */
  readonly name: string
  /** The newest format that is understood; a document states its own in the field `format`. */
  readonly format: number
  readonly schema: z.ZodType<Document>
}

/** The bytes of a document. */
export function encodeSealedJson(document: { readonly format: number }): Uint8Array {
  const line = Buffer.from(JSON.stringify(document))
  return Buffer.concat([line, sealOf(line)])
}

/** @throws EngineError `DATA_LOSS` when the bytes are not what was written, `FORMAT_NEWER` */
export function decodeSealedJson<Document>(bytes: Uint8Array, form: SealedJsonForm<Document>): Document {
  const lineBytes = bytes.length - SEAL_BYTES
  if (lineBytes < 0) throw damaged(form.name, `${bytes.length} bytes are no whole document`)
  const line = bytes.subarray(0, lineBytes)
  if (Buffer.compare(sealOf(line), bytes.subarray(lineBytes)) !== 0) {
    throw damaged(form.name, "its hash does not match")
  }
  if (line.includes(NEWLINE)) throw damaged(form.name, "it has more than one line")
  const document = parse(line, form.name)
  const { format } = z.looseObject({ format: z.int().optional() }).safeParse(document).data ?? {}
  if (format !== undefined && format > form.format) {
    throw new EngineError(
      "FORMAT_NEWER",
      `${form.name} has format ${format}; this software reads formats up to ${form.format}: use a newer one`,
    )
  }
  const parsed = form.schema.safeParse(document)
  if (!parsed.success) throw damaged(form.name, z.prettifyError(parsed.error))
  return parsed.data
}

function sealOf(line: Uint8Array): Buffer {
  return Buffer.from(`\n${createHash("sha256").update(line).digest("hex")}\n`)
}

function parse(line: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line))
  } catch (error) {
    throw new EngineError("DATA_LOSS", `${name} is damaged: it is no JSON`, { cause: error })
  }
}

function damaged(name: string, what: string): EngineError {
  return new EngineError("DATA_LOSS", `${name} is damaged: ${what}`)
}
