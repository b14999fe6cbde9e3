// Room on the file system where the daemon keeps its state.

import { statfs } from "node:fs/promises"
import type { Registry } from "prom-client"
import { registerReadMetric } from "./read-metrics.ts"

/** Registers the room around `directory`, looked up when somebody asks. */
export function registerDiskMetrics(registry: Registry, directory: string): void {
  registerReadMetric(registry, {
    name: "varve_filesystem_free_bytes",
    help: "Room that is left on the file system of dataDir. Alert long before 0: then writes are refused (varve_storage_full). Merges need room for their longest output besides.",
    type: "gauge",
    read: () => bytesOf(directory, ({ bavail, bsize }) => bavail * bsize),
  })
  registerReadMetric(registry, {
    name: "varve_filesystem_size_bytes",
    help: "Size of the file system of dataDir.",
    type: "gauge",
    read: () => bytesOf(directory, ({ blocks, bsize }) => blocks * bsize),
  })
}

/** NaN when it cannot be found out: the rest of the page is told all the same. */
async function bytesOf(
  directory: string,
  of: (found: { readonly bavail: number; readonly blocks: number; readonly bsize: number }) => number,
): Promise<number> {
  return await statfs(directory).then(of, () => Number.NaN)
}
