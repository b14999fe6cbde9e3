// What a chunk holds. Data of one kind repeats within its kind, so chunks are looked up by kind and hash.
// The numbers are stored: none is ever given to another kind.

import { assert } from "../base/assert.ts"

export const regionKinds = {
  /** Whole records of a run, and the padding between them. */
  records: 1,
  /** What follows the records in a run: hashes, checksums, directory, trailer. */
  index: 2,
  /** The chunk list of a run (`recipe.ts`). */
  recipe: 3,
  code: 4,
  memory: 5,
  other: 6,
} as const

export type RegionKind = (typeof regionKinds)[keyof typeof regionKinds]

/** Folders of packs, below `packs/`. Those of engine runs hold records, index and recipes together. */
export const packFolders = ["records", "code", "memory", "other"] as const

export type PackFolder = (typeof packFolders)[number]

const folderOfKind: Readonly<Record<RegionKind, PackFolder>> = {
  [regionKinds.records]: "records",
  [regionKinds.index]: "records",
  [regionKinds.recipe]: "records",
  [regionKinds.code]: "code",
  [regionKinds.memory]: "memory",
  [regionKinds.other]: "other",
}

const REGION_KIND_MAX = Math.max(...Object.values(regionKinds))

/** True for the numbers of `regionKinds`. */
export function isRegionKind(value: number): value is RegionKind {
  return Number.isInteger(value) && value >= 1 && value <= REGION_KIND_MAX
}

/** Where packs of chunks of a kind are filed; `kind` is one of `regionKinds`. */
export function packFolderOf(kind: number): PackFolder {
  assert(isRegionKind(kind), "a chunk's kind is known")
  return folderOfKind[kind]
}
