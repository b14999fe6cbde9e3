// A stretch of a run's hash section, decoded: one array a field, reused from page to page.

/** Entries of one page; see README.md for their encoding. */
export const HASH_PAGE_ENTRIES = 4096

/** Entry `i` is record `first + i` of the run, `i` in `[0, count)`. Valid until the next page is asked for. */
export class HashPage {
  first = 0
  count = 0
  readonly h1 = new Uint32Array(HASH_PAGE_ENTRIES)
  readonly h2 = new Uint16Array(HASH_PAGE_ENTRIES)
  /** Where the record starts in the run. */
  readonly offset = new Float64Array(HASH_PAGE_ENTRIES)
  /** 1 for a tombstone, else 0. */
  readonly tombstone = new Uint8Array(HASH_PAGE_ENTRIES)
}
