// Scan: partition after partition, page after page, each page written when the client has taken the one before.

import type { ServerWritableStream } from "@grpc/grpc-js"
import type { KeyValue, ScanOptions } from "@varve/engines"
import type { ScanRequest, ScanResponse } from "@varve/proto"
import type { OperationMetrics } from "../metrics/operation-metrics.ts"
import type { Stores } from "../shard/stores.ts"
import type { Inflight } from "./inflight.ts"

/** Bytes of records in one answer; an answer with one larger record is larger. */
const PAGE_BYTES_MAX = 256 * 1024
const NO_LIMIT = 0n

type ScanStream = ServerWritableStream<ScanRequest, ScanResponse>

/** The handler of `Scan`; resolves when all is sent or the call is cancelled. */
export function scanCall(
  stores: Stores,
  operations: OperationMetrics,
  inflight: Inflight,
): (call: ScanStream) => Promise<void> {
  return async (call) => {
    const request = call.request
    const store = stores.get(request.store)
    const figures = operations.of(store.settings.name).scan
    const startedMs = performance.now()
    let sent = 0
    try {
      inflight.check()
      const partitions =
        request.partition === undefined ? store.partitions : [store.partition(request.partition)]
      let rest = request.limit === NO_LIMIT ? Number.POSITIVE_INFINITY : Number(request.limit)
      for (const { index, engine } of partitions) {
        if (rest <= 0) break
        for await (const page of engine.scan(scanOptions(request))) {
          const records = page.length > rest ? page.slice(0, rest) : page
          rest -= records.length
          for (const part of split(records)) {
            if (call.cancelled) return
            await send(call, { partition: index, records: part }, inflight)
            sent += part.length
          }
          if (rest <= 0) break
        }
      }
      figures.done(sent, startedMs)
    } catch (error) {
      figures.failed += 1
      throw error
    }
  }
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

/** Resolves when the transport has taken the page, or the call is cancelled. */
async function send(call: ScanStream, page: ScanResponse, inflight: Inflight): Promise<void> {
  const bytes = page.records.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
  inflight.add(bytes)
  try {
    await new Promise<void>((resolve) => {
      call.once("cancelled", resolve)
      call.write(page, () => {
        call.off("cancelled", resolve)
        resolve()
      })
    })
  } finally {
    inflight.remove(bytes)
  }
}
