// Which partition has a key, as engines ask for it when a version has another number of partitions than the store.

import type { Partitioning } from "@varve/engines"
import { overlappingPartitions, partitionOfKey } from "@varve/proto"

/** The key's slot says it, whatever the number of partitions. */
export const slots: Partitioning = { partitionOf: partitionOfKey, sourcesOf: overlappingPartitions }
