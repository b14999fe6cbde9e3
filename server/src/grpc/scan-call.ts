// Scan: partition after partition, page after page, each page written when the client has taken the one before.

import type { ServerWritableStream } from "@grpc/grpc-js"
import type { ScanRequest, ScanResponse } from "@varve/proto"
import type { OperationMetrics } from "../metrics/operation-metrics.ts"
import type { ShardStore } from "../shard/shard-store.ts"
import type { Stores } from "../shard/stores.ts"
import { CallLimit } from "./call-limit.ts"
import type { Inflight } from "./inflight.ts"
import { limitOf, PAGE_BYTES_MAX, pagesOf } from "./scan-pages.ts"

/** A scan holds pages all the while: one is read, one is on its way. */
const SCAN_BYTES = 2 * PAGE_BYTES_MAX
/** Scans that nobody reads hold this part of the bytes in flight at most: other calls go on. */
const SCANS_PART = 4

type ScanStream = ServerWritableStream<ScanRequest, ScanResponse>

/** The handler of `Scan`; resolves when all is sent or the call is cancelled. */
export function scanCall(
  stores: Stores<ShardStore>,
  operations: OperationMetrics,
  inflight: Inflight,
): (call: ScanStream) => Promise<void> {
  const scans = new CallLimit("scans", Math.ceil(inflight.bytesMax / SCANS_PART / SCAN_BYTES))
  return async (call) => {
    const request = call.request
    const store = stores.get(request.store)
    const figures = operations.of(store.settings.name).scan
    const startedMs = performance.now()
    let sent = 0
    inflight.check()
    scans.enter()
    inflight.add(SCAN_BYTES)
    try {
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
      figures.fail(error)
      throw error
    } finally {
      inflight.remove(SCAN_BYTES)
      scans.leave()
    }
  }
}

/** Resolves when the transport has taken the page, or the call is cancelled. */
async function send(call: ScanStream, page: ScanResponse, inflight: Inflight): Promise<void> {
  const bytes = page.records.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
  // A page of one large record is larger than others.
  const moreBytes = Math.max(0, bytes - PAGE_BYTES_MAX)
  inflight.add(moreBytes)
  try {
    await new Promise<void>((resolve) => {
      call.once("cancelled", resolve)
      call.write(page, () => {
        call.off("cancelled", resolve)
        resolve()
      })
    })
  } finally {
    inflight.remove(moreBytes)
  }
}
