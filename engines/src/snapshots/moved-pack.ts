// Where the chunks of a pack went that was rewritten. Recipes name chunks by pack and offset and never change, so
// garbage collection leaves this note behind when it copies what is alive of a pack into another one.
//
//   pack a  | live | dead | live live |           moved/a: [0, 900) -> b at 100; [1500, 4100) -> b at 1000
//   pack b  | … | live | live live | … |
//
//   object := sealed JSON (base/sealed-json.ts)     key := moved/<id of the pack that was rewritten>
//
// Stretches are what lies side by side in both packs. A range that a recipe asks for is made of chunks that are
// alive, side by side in the old pack: it lies in one stretch. Readers look for the note when a pack is gone. A
// pack that was rewritten may be rewritten again: notes are followed, HOPS_MAX of them.

import { z } from "zod"
import { decodeSealedJson, encodeSealedJson } from "../base/sealed-json.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { PackFolder } from "./region-kind.ts"
import { movedKey, packKey } from "./repository-keys.ts"

const MOVED_FORMAT = 1
/** A pack of 32 MiB has some thousand chunks. */
const MOVED_BYTES_MAX = 16 * 1024 * 1024
/** More than a pack of any age has been through: each hop needs a collection and its period of grace. */
export const HOPS_MAX = 64

/** `[from, from + bytes)` of the old pack lies at `to` of the new one. */
export interface Stretch {
  readonly from: number
  readonly bytes: number
  readonly to: number
}

export interface MovedPack {
  readonly format: typeof MOVED_FORMAT
  /** Ids of the old pack and of the one that has its live chunks. */
  readonly pack: string
  readonly into: string
  /** Ascending, not touching. */
  readonly stretches: readonly Stretch[]
}

/** Bytes of a pack. */
export interface PackRange {
  readonly pack: string
  /** Where the pack is filed: `records` unless it says otherwise. What is rewritten stays in its folder. */
  readonly folder?: PackFolder
  readonly offset: number
  readonly bytes: number
}

const count = z.int().min(0)
const packId = z.string().regex(/^[0-9a-f]{32}$/)
const movedSchema = z.strictObject({
  format: z.literal(MOVED_FORMAT),
  pack: packId,
  into: packId,
  stretches: z.array(z.strictObject({ from: count, bytes: z.int().min(1), to: count })),
})

/** The bytes of a note. */
export function encodeMovedPack(moved: Omit<MovedPack, "format">): Uint8Array {
  return encodeSealedJson({ format: MOVED_FORMAT, ...moved })
}

/** The note that says where the chunks of `pack` went; undefined when there is none. */
export async function readMovedPack(objectStore: ObjectStore, pack: string): Promise<MovedPack | undefined> {
  const name = movedKey(pack)
  const source = await objectStore.get(name, { offset: 0, bytes: MOVED_BYTES_MAX + 1 })
  if (source === undefined) return undefined
  const moved = decodeSealedJson(source, { name, format: MOVED_FORMAT, schema: movedSchema })
  return moved.pack === pack ? moved : undefined
}

/** Where the range lies now; undefined when not all of it was taken along. */
export function movedRange(moved: MovedPack, range: PackRange): PackRange | undefined {
  const { offset, bytes } = range
  const stretch = moved.stretches.find((each) => each.from <= offset && offset < each.from + each.bytes)
  if (stretch === undefined || offset + bytes > stretch.from + stretch.bytes) return undefined
  return { ...range, pack: moved.into, offset: stretch.to + (offset - stretch.from) }
}

/**
 * The bytes of the range, wherever its pack's chunks have gone to; undefined when they are nowhere. Fewer come back
 * when the pack that should have them ends before.
 * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`
 */
export async function readPackRange(
  objectStore: ObjectStore,
  range: PackRange,
): Promise<Uint8Array | undefined> {
  let at: PackRange | undefined = range
  for (let hop = 0; at !== undefined && hop <= HOPS_MAX; hop++) {
    const { pack, folder, offset, bytes }: PackRange = at
    const source = await objectStore.get(packKey(pack, folder), { offset, bytes })
    if (source !== undefined) return source
    const moved = await readMovedPack(objectStore, pack)
    at = moved === undefined ? undefined : movedRange(moved, at)
  }
  return undefined
}
