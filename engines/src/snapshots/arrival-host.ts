// What runs on their way need of the partition and of the repository that they come from.

import type { ObjectStore } from "../io/object-store.ts"
import type { Seams } from "../io/seams.ts"
import type { ReadLane } from "../runs/read-lane.ts"
import type { ChunkReader } from "./chunk-reader.ts"

/** What arriving runs share. */
export interface ArrivalHost extends Pick<Seams, "fileSystem" | "executor" | "clock"> {
  readonly objectStore: ObjectStore
  /** Of the object store. */
  readonly url: string
  readonly reader: ChunkReader
  /** How many slices are filled at the same time. */
  readonly lane: ReadLane
  readonly warn: (message: string, error: unknown) => void
}
