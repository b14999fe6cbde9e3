// How fast merged runs may go up. One for a repository, shared by all partitions that use it, so that what merges
// upload leaves bandwidth to the snapshots, which ask nobody.
//
// Who is to upload a pack asks first, and is told when the packs before it are paid for:
//
//   pack 1 ├── its bytes at the budget ──┤ pack 2 ├──── …       a pack starts at once when nothing is owed
//
// So in any time T the uploads that begin have at most the budget times T, and one pack. Nothing is saved up while
// nobody uploads. (The leaky bucket as a meter; J. Turner, 1986.)

import { EngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"

/** Never in the way of a load that one partition's thread can make: it merges less in a second. */
export const MERGE_UPLOAD_BYTES_PER_SECOND_DEFAULT = 64 * 1024 * 1024
export const MERGE_UPLOAD_BYTES_PER_SECOND_MAX = 1024 * 1024 * 1024 * 1024

/** Packs of merged runs have what the budget gives in a second, within these bounds, unless one chunk is larger. */
const PACK_BYTES_LEAST = 256 * 1024
const PACK_BYTES_MOST = 8 * 1024 * 1024

export class UploadBudget {
  readonly #clock: Pick<Clock, "monotonicMs" | "sleep">
  readonly #bytesPerSecond: number
  /** When all that was granted is paid for. */
  #paidMs = Number.NEGATIVE_INFINITY

  /** @param bytesPerSecond 0: no limit. @throws EngineError `SETTING_INVALID` */
  constructor(
    clock: Pick<Clock, "monotonicMs" | "sleep">,
    bytesPerSecond: number = MERGE_UPLOAD_BYTES_PER_SECOND_DEFAULT,
  ) {
    if (
      !Number.isSafeInteger(bytesPerSecond) ||
      bytesPerSecond < 0 ||
      bytesPerSecond > MERGE_UPLOAD_BYTES_PER_SECOND_MAX
    ) {
      throw new EngineError(
        "SETTING_INVALID",
        `mergeUploadBytesPerSecond is ${bytesPerSecond}; it is 0 (no limit) to ${MERGE_UPLOAD_BYTES_PER_SECOND_MAX}`,
      )
    }
    this.#clock = clock
    this.#bytesPerSecond = bytesPerSecond
  }

  /** How many bytes one pack may have: small, so that a snapshot that comes behind it is soon served. */
  get packBytesMax(): number {
    if (this.#bytesPerSecond === 0) return PACK_BYTES_MOST
    return Math.min(PACK_BYTES_MOST, Math.max(PACK_BYTES_LEAST, this.#bytesPerSecond))
  }

  /**
   * Resolves when `bytes` may go up, in the order of the calls; at once, and free of charge, when `hurry` is aborted,
   * before or meanwhile.
   */
  async grant(bytes: number, hurry: AbortSignal): Promise<void> {
    if (this.#bytesPerSecond === 0 || hurry.aborted) return
    const nowMs = this.#clock.monotonicMs()
    const startMs = Math.max(nowMs, this.#paidMs)
    const costMs = (bytes / this.#bytesPerSecond) * 1000
    this.#paidMs = startMs + costMs
    if (startMs === nowMs) return
    await this.#clock.sleep(startMs - nowMs, hurry, "idle")
    if (hurry.aborted) this.#paidMs -= costMs
  }
}
