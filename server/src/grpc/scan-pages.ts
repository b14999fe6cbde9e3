// The pages of a scan over one partition, wherever it lives: none empty, each of bounded size.

import type { KeyValue, ScanOptions } from "@varve/engines"
import type { ScanRequest } from "@varve/proto"
import type { ShardPartition } from "../shard/shard-store.ts"

/** Bytes of records in one page; a page with one larger record is larger. */
export const PAGE_BYTES_MAX = 256 * 1024
const NO_LIMIT = 0n

/** At most `request.limit` records of the partition. */
export async function* pagesOf(
  partition: ShardPartition,
  request: ScanRequest,
): AsyncGenerator<readonly KeyValue[], void, void> {
  const { owner, index } = partition
  if (owner !== undefined) {
    yield* owner.scan({ ...request, partition: index })
    return
  }
  let rest = limitOf(request)
  for await (const page of partition.engine.scan(scanOptions(request))) {
    const records = page.length > rest ? page.slice(0, rest) : page
    rest -= records.length
    yield* split(records)
    if (rest <= 0) return
  }
}

/** How many records are wanted at most. */
export function limitOf({ limit }: ScanRequest): number {
  return limit === NO_LIMIT ? Number.POSITIVE_INFINITY : Number(limit)
}

function scanOptions({ prefix, start, end, keysOnly }: ScanRequest): ScanOptions {
  return {
    keysOnly,
    ...(prefix.length === 0 ? {} : { prefix }),
    ...(start.length === 0 ? {} : { start }),
    ...(end.length === 0 ? {} : { end }),
  }
}

/** Pages of an engine are bounded too; this bounds what one message holds. */
function* split(records: readonly KeyValue[]): Generator<KeyValue[]> {
  let part: KeyValue[] = []
  let bytes = 0
  for (const record of records) {
    const recordBytes = record.key.length + record.value.length
    if (part.length > 0 && bytes + recordBytes > PAGE_BYTES_MAX) {
      yield part
      part = []
      bytes = 0
    }
    part.push(record)
    bytes += recordBytes
  }
  if (part.length > 0) yield part
}
