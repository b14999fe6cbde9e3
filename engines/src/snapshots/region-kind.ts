// What a chunk holds. Data of one kind repeats within its kind, so chunks are looked up by kind and hash.
// The numbers are stored: none is ever given to another kind.

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

const REGION_KIND_MAX = Math.max(...Object.values(regionKinds))

/** True for the numbers of `regionKinds`. */
export function isRegionKind(value: number): value is RegionKind {
  return Number.isInteger(value) && value >= 1 && value <= REGION_KIND_MAX
}
