// Documents that are believed whole or not at all.

import { createHash } from "node:crypto"
import { expect, test } from "vitest"
import { z } from "zod"
import { EngineError } from "./error.ts"
import { decodeSealedJson, encodeSealedJson } from "./sealed-json.ts"

const form = {
  name: "x/state",
  format: 2,
  schema: z.strictObject({ format: z.literal(2), word: z.string() }),
}
const document = { format: 2, word: "é" } as const

function reasonOf(bytes: Uint8Array): string {
  try {
    decodeSealedJson(bytes, form)
  } catch (error) {
    if (error instanceof EngineError && error.message.includes("x/state")) return error.reason
    throw error
  }
  return "believed"
}

/** Bytes with a right hash, whatever they are. */
function sealed(line: Uint8Array | string): Uint8Array {
  const hash = createHash("sha256").update(line).digest("hex")
  return Buffer.concat([Buffer.from(line), Buffer.from(`\n${hash}\n`)])
}

test("sealed JSON: round trip, in the bytes that the header promises", () => {
  expect(decodeSealedJson(encodeSealedJson(document), form)).toEqual(document)
  expect(Buffer.compare(encodeSealedJson(document), sealed('{"format":2,"word":"é"}'))).toBe(0)
})

test("sealed JSON: every single-byte change and every truncation is DATA_LOSS", () => {
  const bytes = encodeSealedJson(document)
  for (let at = 0; at < bytes.length; at++) {
    for (const flip of [0x01, 0x20, 0xff]) {
      const changed = new Uint8Array(bytes)
      changed[at]! ^= flip
      expect(reasonOf(changed), `byte ${at} ^ ${flip}`).toBe("DATA_LOSS")
    }
    expect(reasonOf(bytes.subarray(0, at)), `${at} bytes`).toBe("DATA_LOSS")
  }
})

test("sealed JSON: wrong content under a right hash is refused, a newer format as such", () => {
  expect(reasonOf(sealed('{"format":3,"anything":true}'))).toBe("FORMAT_NEWER")
  for (const line of [
    '{"format":1,"word":"a"}',
    '{"format":2}',
    '{"word":"a"}',
    "[]",
    "no JSON",
    "",
    "{\n}",
  ]) {
    expect(reasonOf(sealed(line)), line).toBe("DATA_LOSS")
  }
  expect(reasonOf(sealed(Uint8Array.of(0x22, 0xff, 0x22)))).toBe("DATA_LOSS")
})
