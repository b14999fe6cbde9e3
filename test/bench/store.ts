// What the child of an embedded store runs: slices of a prepared order of keys. Each store has its own loops, for
// a common one would put a call between the clock and the store. Nobody syncs: what is measured is the same
// promise for all, state that a crash may take back.

/** Operations between two turns of the event loop, and writes of one transaction where a store has them. */
export const SLICE = 1024

export interface Store {
  /** Sets the keys `order[from, to)`. */
  set(order: Uint32Array, from: number, to: number, value: Buffer): Promise<void>
  /** Gets them; resolves how many had a value. */
  get(order: Uint32Array, from: number, to: number): Promise<number>
  /** Gets those at even places and sets the others; resolves how many of the gets had a value. */
  mixed(order: Uint32Array, from: number, to: number, value: Buffer): Promise<number>
  /** Gets them in batches of `KEYS_PER_GET_MANY`, which divides `to - from`. */
  getMany(order: Uint32Array, from: number, to: number): Promise<number>
  /** Bytes of the index that finds records, when the store counts them. */
  indexBytes(): number | undefined
  /** Bytes written to files so far, when the store counts them. */
  fileBytesWritten(): number | undefined
  close(): Promise<void>
}
