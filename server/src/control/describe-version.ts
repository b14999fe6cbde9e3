// A version of a store in the message of the contract: what the daemon answers, and what tools print that read the
// repository themselves.

import type { SnapshotDescription } from "@varve/proto"
import type { MetadataRoom } from "./metadata-room.ts"
import { isComplete, isOnCurrentLine, type PartitionVersions, type StoreVersion } from "./store-versions.ts"

/** @param partitions the listings that the version came from */
export function describeVersion(
  version: StoreVersion,
  partitions: readonly PartitionVersions[],
  room: MetadataRoom,
): SnapshotDescription {
  const { parts } = version
  const first = parts[0]!.summary
  const sum = (of: (summary: typeof first) => number): bigint =>
    BigInt(parts.reduce((total, { summary }) => total + of(summary), 0))
  return {
    version: BigInt(version.version),
    timeline: version.timeline,
    parentVersion: BigInt(first.parent?.version ?? 0),
    parentTimeline: first.parent?.timeline ?? "",
    createdMs: BigInt(Math.floor(version.createdMs)),
    complete: isComplete(version, partitions),
    currentLine: isOnCurrentLine(version, partitions),
    pinned: parts.some(({ summary }) => summary.pinned),
    pinNames: [...new Set(parts.flatMap(({ summary }) => summary.pinNames))].sort(),
    engine: first.engine,
    records: sum(({ recordCount }) => recordCount),
    bytes: sum(({ bytes }) => bytes),
    bytesNew: sum(({ bytesNew }) => bytesNew),
    partitions: parts.map(({ partition }) => partition),
    ...room.take(first.metadata),
  }
}
