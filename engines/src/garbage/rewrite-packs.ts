// Packs of which little is alive: what is alive goes into a new pack, several old ones into one.
//
//   read and check the live chunks -> write the new pack -> write a note for each old one -> condemn the old ones
//
// A crash leaves a new pack that nobody asks for, or notes beside packs that are still there: both are right.

import { createHash } from "node:crypto"
import { assert } from "../base/assert.ts"
import type { Clock } from "../io/clock.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { Random } from "../io/random.ts"
import { ChunkListBuilder, chunkHash } from "../snapshots/chunk-list.ts"
import { readPackEntries } from "../snapshots/load-chunk-index.ts"
import { encodeMovedPack, type PackRange, type Stretch } from "../snapshots/moved-pack.ts"
import { encodePackTail, PACK_BYTES_MAX, type PackEntries } from "../snapshots/pack.ts"
import { readRange } from "../snapshots/read-recipe.ts"
import type { PackFolder } from "../snapshots/region-kind.ts"
import { movedKey, newPackId, packKey, parsePackFolder } from "../snapshots/repository-keys.ts"
import { damaged } from "../snapshots/stored-bytes.ts"
import type { MarkedPack } from "./mark.ts"

/** What is read of a pack at a time. */
const READ_BYTES = 4 * 1024 * 1024

export interface PackToRewrite {
  readonly id: string
  readonly pack: MarkedPack
}

/** Groups of packs whose live chunks fill one new pack each; packs of one folder stay in it. */
export function groupsOf(packs: readonly PackToRewrite[]): PackToRewrite[][] {
  const groups: PackToRewrite[][] = []
  const open = new Map<PackFolder, { readonly group: PackToRewrite[]; room: number }>()
  for (const each of packs) {
    // Entries included, roughly: a chunk is never shorter than a byte, and hardly ever than its entry.
    const bytes = 2 * each.pack.live.bytes
    const folder = folderOf(each)
    let last = open.get(folder)
    if (last === undefined || bytes > last.room) {
      last = { group: [], room: PACK_BYTES_MAX }
      open.set(folder, last)
      groups.push(last.group)
    }
    last.group.push(each)
    last.room -= bytes
  }
  return groups
}

function folderOf({ pack }: PackToRewrite): PackFolder {
  const folder = parsePackFolder(pack.object.key)
  assert(folder !== undefined, "packs that were marked are in folders")
  return folder
}

/**
 * Rewrites the packs of one group. @returns bytes of the new pack
 * @throws (rejects) EngineError `DATA_LOSS` when a live chunk is not what its name says; nothing is then rewritten
 */
export async function rewriteGroup(
  objectStore: ObjectStore,
  group: readonly PackToRewrite[],
  seams: { readonly clock: Clock; readonly random: Random },
): Promise<number> {
  const into = newPackId(seams.clock, seams.random)
  const [folder] = group.map(folderOf)
  const chunks = new ChunkListBuilder()
  const parts: Uint8Array[] = []
  const notes: { readonly pack: string; readonly stretches: Stretch[] }[] = []
  let to = 0
  for (const { id, pack } of group) {
    const { key } = pack.object
    const entries = await readPackEntries(objectStore, pack.object)
    // Another collection was faster.
    if (entries === undefined) continue
    const stretches = stretchesOf(pack, to)
    for (const { from, bytes } of stretches) {
      const read = await readStretch(objectStore, { pack: id, folder: folder!, offset: from, bytes })
      addChunks(chunks, entries, { from, read, key })
      parts.push(read)
      to += bytes
    }
    notes.push({ pack: id, stretches })
  }
  if (notes.length === 0) return 0
  const tail = encodePackTail(into, chunks.build())
  await objectStore.create(packKey(into, folder), [...parts, tail])
  for (const note of notes) {
    await objectStore.create(movedKey(note.pack), [encodeMovedPack({ ...note, into })])
  }
  return to + tail.length
}

/** The live chunks of a pack, joined where they touch, one behind the other from `to` on. */
function stretchesOf({ live }: MarkedPack, to: number): Stretch[] {
  const stretches: Stretch[] = []
  let next = to
  for (const { offset, length } of live.entries()) {
    const last = stretches.at(-1)
    if (last !== undefined && last.from + last.bytes === offset) {
      stretches[stretches.length - 1] = { ...last, bytes: last.bytes + length }
    } else {
      stretches.push({ from: offset, bytes: length, to: next })
    }
    next += length
  }
  return stretches
}

async function readStretch(objectStore: ObjectStore, { bytes, ...place }: PackRange): Promise<Uint8Array> {
  const read = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += READ_BYTES) {
    const part = Math.min(READ_BYTES, bytes - at)
    read.set(await readRange(objectStore, { ...place, offset: place.offset + at, bytes: part }), at)
  }
  return read
}

/** Adds the chunks that make up `read`, which starts at `from` of the pack `key`; each is what its name says. */
function addChunks(
  chunks: ChunkListBuilder,
  entries: PackEntries,
  { from, read, key }: { readonly from: number; readonly read: Uint8Array; readonly key: string },
): void {
  let i = entries.offsets.indexOf(from)
  for (let at = 0; at < read.length; i++) {
    if (i < 0 || i >= entries.count) throw damaged(key, `it has no chunk at byte ${from + at}`)
    const length = entries.lengths[i]!
    const hash = chunkHash(entries, i)
    const actual = createHash("sha256")
      .update(read.subarray(at, at + length))
      .digest()
    if (Buffer.compare(actual, hash) !== 0) throw damaged(key, `hash of the chunk at byte ${from + at}`)
    chunks.add(entries.kinds[i]!, length, entries.crcs[i]!, hash)
    at += length
  }
}
