// Reads manifests, and remembers of them what lists show, and which objects could not be believed.

import { isEngineError } from "../base/error.ts"
import type { ObjectStore, ObjectSummary } from "../io/object-store.ts"
import {
  decodeManifest,
  MANIFEST_BYTES_MAX,
  type Manifest,
  summarizeManifest,
  type VersionSummary,
} from "./manifest.ts"
import { VersionCache } from "./version-cache.ts"

/** Damaged objects remembered. */
const DAMAGED_MAX = 1000

export class ManifestReader {
  readonly #objectStore: ObjectStore
  readonly #versions = new VersionCache()
  readonly #damaged = new Map<string, Error>()

  constructor(objectStore: ObjectStore) {
    this.#objectStore = objectStore
  }

  /** Objects that could not be believed when they were last read, by their keys: the newest 1000. */
  get damaged(): ReadonlyMap<string, Error> {
    return this.#damaged
  }

  /** Undefined when there is none. @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED` */
  async read(key: string): Promise<Manifest | undefined> {
    // One byte more than allowed shows an object that is too long.
    const source = await this.#objectStore.get(key, { offset: 0, bytes: MANIFEST_BYTES_MAX + 1 })
    if (source === undefined) return undefined
    return decodeManifest(source, key)
  }

  /** The summary of a listed manifest; undefined when it was removed meanwhile or cannot be believed. */
  async summary(object: ObjectSummary): Promise<VersionSummary | undefined> {
    const cached = this.#versions.get(object)
    if (cached !== undefined) return cached
    try {
      const manifest = await this.read(object.key)
      this.#damaged.delete(object.key)
      if (manifest === undefined) return undefined
      const summary = summarizeManifest(manifest, false)
      this.#versions.set(object, summary)
      return summary
    } catch (error) {
      if (!isEngineError(error, "DATA_LOSS") && !isEngineError(error, "FORMAT_NEWER")) throw error
      this.rememberDamage(object.key, error)
      return undefined
    }
  }

  /** The object under `key` cannot be believed. */
  rememberDamage(key: string, error: Error): void {
    this.#damaged.delete(key)
    this.#damaged.set(key, error)
    const [oldest] = this.#damaged.keys()
    if (this.#damaged.size > DAMAGED_MAX && oldest !== undefined) this.#damaged.delete(oldest)
  }

  forgetDamage(key: string): void {
    this.#damaged.delete(key)
  }

  /** Forgets what is not among the keys that a listing of `prefix` shows. */
  forgetDamageBelow(prefix: string, listed: ReadonlySet<string>): void {
    for (const key of this.#damaged.keys()) {
      if (key.startsWith(prefix) && !listed.has(key)) this.#damaged.delete(key)
    }
  }
}
