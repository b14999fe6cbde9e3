// Summaries of manifests that were read before. Manifests never change, so a summary stays right as long as the
// listing shows an object of the same size and age under its key. What was used least recently is forgotten
// first; the limit counts bytes, because a summary carries the caller's metadata.

import type { ObjectSummary } from "../io/object-store.ts"
import type { VersionSummary } from "./manifest.ts"

const VERSION_CACHE_BYTES_MAX = 32 * 1024 * 1024

/** What a summary takes besides its metadata and line, roughly. */
const SUMMARY_BYTES = 600
const LINE_ENTRY_BYTES = 120

interface Entry {
  readonly summary: VersionSummary
  readonly bytes: number
  readonly object: ObjectSummary
}

export class VersionCache {
  readonly #bytesMax: number
  /** In the order of use. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0

  constructor(bytesMax = VERSION_CACHE_BYTES_MAX) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The summary of the manifest that the listing shows as `object`. */
  get(object: ObjectSummary): VersionSummary | undefined {
    const entry = this.#entries.get(object.key)
    if (entry === undefined) return undefined
    this.#forget(object.key)
    if (entry.object.bytes !== object.bytes || entry.object.modifiedMs !== object.modifiedMs) return undefined
    this.#remember(entry)
    return entry.summary
  }

  set(object: ObjectSummary, summary: VersionSummary): void {
    this.#forget(object.key)
    const bytes = SUMMARY_BYTES + summary.metadata.length + summary.line.length * LINE_ENTRY_BYTES
    this.#remember({ summary, bytes, object })
    for (const key of this.#entries.keys()) {
      if (this.#bytes <= this.#bytesMax) break
      this.#forget(key)
    }
  }

  #remember(entry: Entry): void {
    this.#entries.set(entry.object.key, entry)
    this.#bytes += entry.bytes
  }

  #forget(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0
    this.#entries.delete(key)
  }
}
