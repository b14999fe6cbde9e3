// One version of a store: that of each of its partitions. Which partition has a key is for the caller to say: engines
// know nothing of slots.

import { assert } from "../base/assert.ts"
import type { VersionReader, VersionScanOptions } from "./version-reader.ts"

/** Records of one partition. */
export interface StorePage {
  readonly partition: number
  readonly records: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]
}

export class StoreVersionReader {
  /** By partition. */
  readonly partitions: readonly VersionReader[]
  readonly #partitionOf: (key: Uint8Array) => number

  /** @param partitions one for each partition of the store, in order */
  constructor(partitions: readonly VersionReader[], partitionOf: (key: Uint8Array) => number) {
    for (const [i, { manifest }] of partitions.entries()) {
      assert(manifest.partition === i, "the versions of a store are those of its partitions, in order")
    }
    this.partitions = partitions
    this.#partitionOf = partitionOf
  }

  /** As `VersionReader.get`. */
  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const reader = this.partitions[this.#partitionOf(key)]
    assert(reader !== undefined, "a key belongs to a partition of the store")
    return reader.get(key)
  }

  /** As `VersionReader.scan`, partition after partition. */
  async *scan(options: VersionScanOptions = {}): AsyncGenerator<StorePage, void, undefined> {
    for (const [partition, reader] of this.partitions.entries()) {
      for await (const records of reader.scan(options)) yield { partition, records }
    }
  }
}
