// The memory behind `rollback: "fail"`: the lineage of each partition as it was found first. It outlives
// connections. Only this client's own restore puts another in its place.

export class Lineages {
  readonly #byPartition = new Map<number, string>()

  /** Remembers partitions that were not known before; the others stay what they were. */
  learn(found: ReadonlyMap<number, string>): void {
    for (const [partition, lineage] of found) {
      if (!this.#byPartition.has(partition)) this.#byPartition.set(partition, lineage)
    }
  }

  /** This client has put the state of these partitions there itself. */
  adopt(restored: ReadonlyMap<number, string>): void {
    for (const [partition, lineage] of restored) this.#byPartition.set(partition, lineage)
  }

  /** Empty when the partition is not known. */
  of(partition: number): string {
    return this.#byPartition.get(partition) ?? ""
  }

  /** As a map field of a message; of all known partitions, or of `partitions` when there are any. */
  toMessage(partitions: readonly number[]): Record<number, string> {
    const entries = [...this.#byPartition]
    return Object.fromEntries(
      partitions.length === 0 ? entries : entries.filter(([partition]) => partitions.includes(partition)),
    )
  }
}
