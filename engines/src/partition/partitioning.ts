// Which partition of a store has a key. Engines do not know: a store of several partitions brings the rule along, and
// only who puts a version back that was written with another number of partitions asks for it.

/** The rule. Every key is in exactly one partition, for any number of partitions. */
export interface Partitioning {
  /** The partition, of `partitionCount`, of the key in `bytes[start, end)`. */
  partitionOf(bytes: Uint8Array, partitionCount: number, start: number, end: number): number
  /** Partitions of `sourceCount`, ascending, that may have keys which belong to `partition` of `partitionCount`. */
  sourcesOf(partition: number, partitionCount: number, sourceCount: number): readonly number[]
}
