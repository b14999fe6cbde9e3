// The place of a shard, which outlives its threads: what is known of it while one thread follows the other.

import type { ListenAddress } from "../config/address.ts"
import type { HangWatch } from "./hang-watch.ts"
import type { ShardClient } from "./shard-client.ts"
import { ShardFigures } from "./shard-figures.ts"

const PAUSE_FIRST_MS = 100
const PAUSE_MAX_MS = 30_000
/** A shard that lived for so long has earned a short pause. */
const PAUSE_RESET_MS = 60_000

export class ShardSlot {
  readonly index: number
  readonly figures = new ShardFigures()
  client: ShardClient
  /** Where it listens; the port is known after the first time. */
  address: ListenAddress
  restartCount = 0
  /** Another daemon has taken one of its partitions since the thread began. */
  isFenced = false
  /** While it is up, unless nobody watches. */
  watch: HangWatch | undefined
  #upSinceMs: number | undefined
  #isUp = false
  #pauseMs = PAUSE_FIRST_MS

  constructor(index: number, client: ShardClient, address: ListenAddress) {
    this.index = index
    this.client = client
    this.address = address
  }

  /** Whether it takes calls. */
  get isUp(): boolean {
    return this.#isUp
  }

  /** Whether it has served, and does not do so any more: its thread is dead, or the next one is not ready yet. */
  get hasDied(): boolean {
    return !this.#isUp && this.#upSinceMs !== undefined
  }

  /** How long to wait before a thread is started again. */
  get pauseMs(): number {
    return this.#pauseMs
  }

  rise(watch: HangWatch | undefined): void {
    this.#isUp = true
    this.#upSinceMs = performance.now()
    this.watch = watch
  }

  fall(): void {
    this.#isUp = false
    this.figures.ended()
    this.watch = undefined
    if (performance.now() - (this.#upSinceMs ?? 0) > PAUSE_RESET_MS) this.#pauseMs = PAUSE_FIRST_MS
  }

  /** Resolves after the pause, or at once when the signal is aborted; the next one is longer. */
  async pause(signal: AbortSignal): Promise<void> {
    const ms = this.#pauseMs
    this.#pauseMs = Math.min(PAUSE_MAX_MS, ms * 2)
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener("abort", end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      signal.addEventListener("abort", end)
      if (signal.aborted) end()
    })
  }
}
