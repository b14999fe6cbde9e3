// Scan: partition after partition, page after page, each page written when the client has taken the one before.

import type { ServerWritableStream } from "@grpc/grpc-js"
import type { ScanRequest, ScanResponse } from "@varve/proto"
import type { OperationMetrics } from "../metrics/operation-metrics.ts"
import type { ShardStore } from "../shard/shard-store.ts"
import type { Stores } from "../shard/stores.ts"
import type { Inflight } from "./inflight.ts"
import { limitOf, pagesOf } from "./scan-pages.ts"

type ScanStream = ServerWritableStream<ScanRequest, ScanResponse>

/** The handler of `Scan`; resolves when all is sent or the call is cancelled. */
export function scanCall(
  stores: Stores<ShardStore>,
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
      let rest = limitOf(request)
      for (const partition of partitions) {
        if (rest <= 0) break
        const limit = Number.isFinite(rest) ? BigInt(rest) : request.limit
        for await (const records of pagesOf(partition, { ...request, limit })) {
          if (call.cancelled) return
          await send(call, { partition: partition.index, records: [...records] }, inflight)
          sent += records.length
          rest -= records.length
        }
      }
      figures.done(sent, startedMs)
    } catch (error) {
      figures.failed += 1
      throw error
    }
  }
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
