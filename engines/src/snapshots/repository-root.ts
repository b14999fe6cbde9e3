// `repository.json`: what all users of a repository agree on. Written once, when the repository is made.
//
//   {"format":1,"identity":"<32 hex digits>","chunking":{…},"checksum":"<64 hex digits>"}\n
//
// The checksum is the SHA-256 of the text before `,"checksum"`, in every format: a damaged file is told from one
// of a newer format.

import { createHash } from "node:crypto"
import { z } from "zod"
import { EngineError } from "../base/error.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { Random } from "../io/random.ts"
import {
  areChunkingParameters,
  CHUNKING_ALGORITHM,
  type ChunkingParameters,
  chunkingDefaults,
} from "./chunker.ts"
import { REPOSITORY_KEY } from "./repository-keys.ts"
import { damaged, tooNew } from "./stored-bytes.ts"

export const REPOSITORY_FORMAT = 1

const ROOT_BYTES_MAX = 64 * 1024
const IDENTITY_BYTES = 16
const SEALED = /^(.*),"checksum":"([0-9a-f]{64})"\}\n$/s

export interface RepositoryRoot {
  readonly format: typeof REPOSITORY_FORMAT
  /** 32 hex digits, random. */
  readonly identity: string
  readonly chunking: ChunkingParameters
}

const rootSchema = z.strictObject({
  format: z.literal(REPOSITORY_FORMAT),
  identity: z.string().regex(/^[0-9a-f]{32}$/),
  chunking: z
    .strictObject({
      algorithm: z.literal(CHUNKING_ALGORITHM),
      bytesMin: z.int(),
      bytesAverage: z.int(),
      bytesMax: z.int(),
    })
    .refine(areChunkingParameters, "chunk sizes out of bounds"),
})

/**
 * Reads the repository's root; a repository without one gets it now, with the default chunking.
 * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`, `STORAGE_FULL`
 */
export async function openRepositoryRoot(objectStore: ObjectStore, random: Random): Promise<RepositoryRoot> {
  const found = await readRepositoryRoot(objectStore)
  if (found !== undefined) return found
  const identity = Buffer.from(random.bytes(IDENTITY_BYTES)).toString("hex")
  const root = { format: REPOSITORY_FORMAT, identity, chunking: chunkingDefaults } as const
  if (await objectStore.create(REPOSITORY_KEY, [encodeRepositoryRoot(root)])) return root
  const other = await readRepositoryRoot(objectStore)
  if (other !== undefined) return other
  throw new EngineError("REPOSITORY_FAILED", `${objectStore.url} ${REPOSITORY_KEY} was there and is gone`)
}

/** Undefined when there is no repository. @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED` */
export async function readRepositoryRoot(objectStore: ObjectStore): Promise<RepositoryRoot | undefined> {
  const source = await objectStore.get(REPOSITORY_KEY, { offset: 0, bytes: ROOT_BYTES_MAX })
  return source === undefined
    ? undefined
    : decodeRepositoryRoot(source, `${objectStore.url} ${REPOSITORY_KEY}`)
}

export function encodeRepositoryRoot({ format, identity, chunking }: RepositoryRoot): Uint8Array {
  const { algorithm, bytesMin, bytesAverage, bytesMax } = chunking
  const text = JSON.stringify({ format, identity, chunking: { algorithm, bytesMin, bytesAverage, bytesMax } })
  const sealed = text.slice(0, -1)
  return Buffer.from(`${sealed},"checksum":"${sha256(sealed)}"}\n`)
}

/** @throws EngineError `DATA_LOSS`, `FORMAT_NEWER` */
export function decodeRepositoryRoot(source: Uint8Array, name: string): RepositoryRoot {
  // latin1: each byte is one character, so none is hidden by decoding.
  const match = SEALED.exec(Buffer.from(source).toString("latin1"))
  if (match === null) throw damaged(name, "it does not end in a checksum")
  const [, sealed, checksum] = match as unknown as [string, string, string]
  if (sha256(sealed) !== checksum) throw damaged(name, "checksum")
  const root = parseJson(`${sealed}}`, name)
  const { format } = z.looseObject({ format: z.int().optional() }).safeParse(root).data ?? {}
  if (format !== undefined && format > REPOSITORY_FORMAT) throw tooNew(name, format, REPOSITORY_FORMAT)
  const parsed = rootSchema.safeParse(root)
  if (!parsed.success) throw damaged(name, z.prettifyError(parsed.error))
  return parsed.data
}

function sha256(text: string): string {
  return createHash("sha256").update(text, "latin1").digest("hex")
}

function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new EngineError("DATA_LOSS", `${name} is damaged: it is no JSON`, { cause: error })
  }
}
