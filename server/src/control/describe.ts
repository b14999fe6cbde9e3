// What `Describe` answers: the node, its stores, their partitions and figures.

import type { EngineStatistics as Statistics } from "@varve/engines"
import {
  type DescribeResponse,
  type DrillDescription,
  type PartitionDescription,
  type StoreDescription,
  slotRange,
} from "@varve/proto"
import { MetadataRoom } from "./metadata-room.ts"
import type { Partition } from "./partition.ts"
import type { Store } from "./store.ts"

/** Who answers. */
export interface Node {
  readonly softwareVersion: string
  readonly startedMs: number
  /** Different at each start. */
  readonly instance: string
  /** Where a partition is reached. */
  addressOf(partition: number): string
  readonly repositoryUrl: string
  readonly messageBytesMax: number
  /** What the last restore drill of a store has found. */
  drillOf(store: string): DrillDescription | undefined
}

/** The answer for `stores`. */
export function describe(node: Node, stores: readonly Store[]): DescribeResponse {
  const room = new MetadataRoom(node.messageBytesMax)
  return {
    node: {
      softwareVersion: node.softwareVersion,
      startedMs: BigInt(Math.floor(node.startedMs)),
      instance: node.instance,
      messageBytesMax: BigInt(node.messageBytesMax),
    },
    stores: stores.map((store) => describeStore(node, store, room)),
  }
}

function describeStore(node: Node, { settings, partitions }: Store, room: MetadataRoom): StoreDescription {
  return {
    name: settings.name,
    engine: settings.engine,
    durability: settings.durability,
    partitionCount: partitions.length,
    partitions: partitions.map((partition) => describePartition(node, partition, partitions.length, room)),
    settings: Object.fromEntries(
      Object.entries(settings.settings).map(([name, value]) => [
        name,
        typeof value === "string" ? value : (JSON.stringify(value) ?? ""),
      ]),
    ),
    repository: node.repositoryUrl,
    valueBytesMax: BigInt(settings.valueBytesMax),
    partitioning: settings.partitioning,
    lastDrill: node.drillOf(settings.name),
  }
}

function describePartition(
  node: Node,
  partition: Partition,
  partitionCount: number,
  room: MetadataRoom,
): PartitionDescription {
  const { engine, index, recovery } = partition
  const { first, last } = slotRange(index, partitionCount)
  return {
    partition: index,
    slotFirst: first,
    slotLast: last,
    address: node.addressOf(index),
    recovery,
    ownerEpoch: BigInt(engine.owner.epoch),
    fenced: engine.owner.isFenced,
    lineage: engine.lineage,
    version: BigInt(engine.position.version),
    timeline: engine.position.timeline,
    statistics: describeStatistics(engine.statistics()),
    ...room.take(engine.position.metadata),
  }
}

function describeStatistics(figures: Statistics): NonNullable<PartitionDescription["statistics"]> {
  return {
    records: BigInt(figures.recordCount),
    memoryBytes: BigInt(figures.memoryBytes),
    indexBytes: BigInt(figures.indexBytes),
    diskBytes: BigInt(figures.diskBytes),
    runsByLevel: [...figures.runsByLevel],
    flushes: BigInt(figures.flushCount),
    merges: BigInt(figures.mergeCount),
    diskReads: BigInt(figures.diskReadCount),
    stalls: BigInt(figures.stallCount),
    bytesTotal: BigInt(figures.diskBytes),
    bytesLocal: BigInt(figures.bytesLocal),
    bytesDamaged: BigInt(figures.bytesDamaged),
  }
}
