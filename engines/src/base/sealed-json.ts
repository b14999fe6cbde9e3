// Small documents that somebody may have to read at night, and that must never be half believed:
//
//   document := JSON (one line, UTF-8) "\n" sha256 of that line without its newline (64 hex digits) "\n"
//
// `head -1 FILE` shows it; `head -1 FILE | tr -d '\n' | sha256sum` proves it.

import { createHash } from "node:crypto"
import { z } from "zod"
import { EngineError } from "./error.ts"

const NEWLINE = 0x0a
const HASH_DIGITS = 64
const TRAILER_BYTES = 1 + HASH_DIGITS + 1

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
  return Buffer.concat([line, Buffer.from(`\n${sha256(line)}\n`)])
}

/** @throws EngineError `DATA_LOSS` when the bytes are not what was written, `FORMAT_NEWER` */
export function decodeSealedJson<Document>(bytes: Uint8Array, form: SealedJsonForm<Document>): Document {
  const lineBytes = bytes.length - TRAILER_BYTES
  const isFramed = lineBytes > 0 && bytes[lineBytes] === NEWLINE && bytes[bytes.length - 1] === NEWLINE
  if (!isFramed) throw damaged(form.name, `${bytes.length} bytes are no whole document`)
  const line = Buffer.from(bytes.buffer, bytes.byteOffset, lineBytes)
  const hash = Buffer.from(bytes.buffer, bytes.byteOffset + lineBytes + 1, HASH_DIGITS).toString("latin1")
  if (hash !== sha256(line)) throw damaged(form.name, "its hash does not match")
  const document: unknown = JSON.parse(line.toString("utf8"))
  const format = z.object({ format: z.int() }).safeParse(document)
  if (format.success && format.data.format > form.format) {
    throw new EngineError(
      "FORMAT_NEWER",
      `${form.name} has format ${format.data.format}; this version reads up to ${form.format}`,
    )
  }
  const parsed = form.schema.safeParse(document)
  if (!parsed.success) throw damaged(form.name, z.prettifyError(parsed.error))
  return parsed.data
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex")
}

function damaged(name: string, what: string): EngineError {
  return new EngineError("DATA_LOSS", `${name} is damaged: ${what}`)
}
