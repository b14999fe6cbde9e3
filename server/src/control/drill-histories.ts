// What drills have found, by store: the schedule and the figures go by it, also after a start. The file is for the next start
// only: one that cannot be read or written is told, and nothing else waits for it.

import { isEngineError } from "@varve/engines"
import { errorFields, type Log } from "../log.ts"
import type { DrillFiles, DrillHistory } from "./drill-file.ts"

const NOTHING: DrillHistory = { scheduledSinceMs: 0, last: null, passed: null }

export class DrillHistories {
  readonly #files: DrillFiles
  readonly #log: Log
  readonly #histories = new Map<string, DrillHistory>()

  constructor(files: DrillFiles, log: Log) {
    this.#files = files
    this.#log = log
  }

  of(store: string): DrillHistory {
    return this.#histories.get(store) ?? NOTHING
  }

  /** Reads what is known from before this start. */
  async recall(store: string): Promise<DrillHistory> {
    const found = await this.#attempt(store, "drill-file-unread", "nothing is known of earlier drills", () =>
      this.#files.read(store),
    )
    if (found !== undefined) this.#histories.set(store, found)
    return this.of(store)
  }

  /** Changes what is known of a store; the file has it when it resolves, unless it cannot be written. */
  async note(store: string, change: Partial<DrillHistory>): Promise<void> {
    const history = { ...this.of(store), ...change }
    this.#histories.set(store, history)
    await this.#attempt(store, "drill-file-unwritten", "the next start will not know of this drill", () =>
      this.#files.write(store, history),
    )
  }

  async #attempt<Result>(
    store: string,
    event: string,
    consequence: string,
    work: () => Promise<Result>,
  ): Promise<Result | undefined> {
    try {
      return await work()
    } catch (error) {
      if (!isEngineError(error)) throw error
      this.#log.warn(event, `store ${store}: ${consequence}`, { store, ...errorFields(error) })
      return undefined
    }
  }
}
