// What the state file says of a partition that is open: which state it is in, under which lineage, which states it can
// go back to. Whoever changes one of these publishes all of them together.

import type { PartitionIdentity, PartitionParts } from "./live-state.ts"
import type { OpenedPartition } from "./open-partition.ts"
import type { ReplacedStates } from "./replaced-states.ts"
import {
  type LogMark,
  publishStateFile,
  readStateFile,
  type StateDescription,
  type StateFile,
} from "./state-file.ts"

export class PublishedState {
  readonly #identity: PartitionIdentity
  readonly #parts: Pick<PartitionParts, "directory" | "seams">
  readonly #replaced: ReplacedStates
  readonly #epochOf: (lineage: string) => number

  /** @param epochOf under which the state of a lineage belongs to the partition's owner */
  constructor(
    identity: PartitionIdentity,
    parts: Pick<PartitionParts, "directory" | "seams">,
    replaced: ReplacedStates,
    epochOf: (lineage: string) => number,
  ) {
    this.#epochOf = epochOf
    this.#identity = identity
    this.#parts = parts
    this.#replaced = replaced
  }

  /** The first thing that an open partition does. Releases what was held for it; files stay when it rejects. */
  async publishOpened({
    present,
    lineage,
    mark,
    held,
  }: Pick<OpenedPartition, "present" | "lineage" | "mark" | "held">): Promise<void> {
    try {
      await this.publish(present, lineage, mark)
    } catch (error) {
      this.#parts.directory.keepFiles()
      throw error
    } finally {
      for (const run of held) run.release()
    }
  }

  /**
   * While the partition is open. Durable when it resolves; when it rejects, the file may say it all the same.
   * @param log under durability `log`: where the writes are that came after `present`
   */
  publish(present: StateDescription, lineage: string, log: LogMark | undefined): Promise<void> {
    return this.#write(present, { isClean: false, lineage, log })
  }

  /** The last thing that an open partition does: `present` is complete, and continued as it is. */
  publishClean(present: StateDescription, lineage: string, log: LogMark | undefined): Promise<void> {
    return this.#write(present, { isClean: true, lineage, log })
  }

  /** The lineage that the file names now. @throws (rejects) `DATA_LOSS`, `FORMAT_NEWER`, `STORAGE_FAILED` */
  async lineage(): Promise<string | undefined> {
    const { directory, seams } = this.#parts
    return (await readStateFile(seams.fileSystem, directory.directory))?.lineage
  }

  /** Removes the runs of states that are neither served nor named as replaced. */
  removeUnusedRuns(): Promise<void> {
    return this.#parts.directory.removeUnused(new Set(this.#replaced.runIds()))
  }

  #write(present: StateDescription, marks: Pick<StateFile, "isClean" | "lineage" | "log">): Promise<void> {
    const { store, partition, engine } = this.#identity
    const { directory, seams } = this.#parts
    return publishStateFile(seams.fileSystem, directory.directory, {
      engine,
      store,
      partition,
      epoch: this.#epochOf(marks.lineage),
      ...marks,
      present,
      replaced: this.#replaced.list,
    })
  }
}
