// The ownership of an open partition: taken when it is opened, asked for at every commit, and between commits every few
// seconds, so that a partition without snapshots soon stops acknowledging what its next owner will never see.

import type { Manifest } from "../snapshots/manifest.ts"
import type { Ownership } from "../snapshots/ownership.ts"
import type { PartitionParts } from "./live-state.ts"

/** How often an owner that commits nothing asks whether it still is one. */
export const OWNER_CHECK_INTERVAL_MS_DEFAULT = 5000
export const OWNER_CHECK_INTERVAL_MS_MAX = 3_600_000

/** Who owns a partition. */
export interface OwnerSettings {
  /** Who owns, for people that look into the repository; host and process by default, at most 255 characters. */
  readonly name?: string
  /** 0: only commits ask. Default 5000, at most an hour. */
  readonly checkIntervalMs?: number
}

export class PartitionOwner {
  readonly #ownership: Ownership
  readonly #parts: Pick<PartitionParts, "seams" | "warn">
  readonly #closing = new AbortController()
  #watching: Promise<void> | undefined
  #hasCommitted = false

  constructor(ownership: Ownership, parts: Pick<PartitionParts, "seams" | "warn">) {
    this.#ownership = ownership
    this.#parts = parts
  }

  get epoch(): number {
    return this.#ownership.epoch
  }

  get isLost(): boolean {
    return this.#ownership.loss !== undefined
  }

  /** Whether a version was committed by this owner. */
  get hasCommitted(): boolean {
    return this.#hasCommitted
  }

  /** As `Ownership.commit`. */
  async commit(manifest: Omit<Manifest, "epoch">): Promise<void> {
    await this.#ownership.commit(manifest)
    this.#hasCommitted = true
  }

  /** Asks every `intervalMs` from now on, until it is closed or lost. */
  watch(intervalMs: number): void {
    if (intervalMs > 0) this.#watching ??= this.#watch(intervalMs)
  }

  /** Asks no more; waits for the question that is under way. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#watching
  }

  async #watch(intervalMs: number): Promise<void> {
    const { signal } = this.#closing
    let isFailing = false
    for (;;) {
      await this.#parts.seams.clock.sleep(intervalMs, signal, "idle")
      if (signal.aborted || this.isLost) return
      try {
        await this.#ownership.check()
        isFailing = false
      } catch (error) {
        if (this.isLost) return
        if (!isFailing) this.#parts.warn("whether the partition is still owned could not be asked", error)
        isFailing = true
      }
    }
  }
}
