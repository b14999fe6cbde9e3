// The claim: an object that is there as long as its owner owns the partition.
//
//   object := sealed JSON (base/sealed-json.ts)
//   key    := stores/<store>/<partition>/owner/<epoch>.claim
//
// Only its being there counts, byte for byte, under its epoch; what it says is for people, and the random identity
// makes it no other's. How owners follow one another stands in ownership.ts.

import { z } from "zod"
import { decodeSealedJson, encodeSealedJson } from "../base/sealed-json.ts"

const CLAIM_FORMAT = 1
/** A claim is some 200 bytes; who owns may have a long name. */
export const CLAIM_BYTES_MAX = 4096
/** Of the name, which comes from outside. */
export const OWNER_NAME_CHARACTERS_MAX = 255

export interface Claim {
  readonly format: typeof CLAIM_FORMAT
  readonly epoch: number
  /** 32 hex digits, random. */
  readonly owner: string
  /** Who it is, for people: host and process. */
  readonly name: string
  readonly claimedMs: number
}

const claimSchema = z.strictObject({
  format: z.literal(CLAIM_FORMAT),
  epoch: z.int().min(1),
  owner: z.string().regex(/^[0-9a-f]{32}$/),
  name: z.string().max(OWNER_NAME_CHARACTERS_MAX),
  claimedMs: z.number(),
})

/** The object of a claim. */
export function encodeClaim(claim: Omit<Claim, "format">): Uint8Array {
  return encodeSealedJson({ format: CLAIM_FORMAT, ...claim })
}

/** The claim in `source`. @throws EngineError `DATA_LOSS`, `FORMAT_NEWER`, naming `key` */
export function decodeClaim(source: Uint8Array, key: string): Claim {
  return decodeSealedJson(source, { name: key, format: CLAIM_FORMAT, schema: claimSchema })
}
