// States that a restore has replaced. Their runs stay for a while, so that a restore can be taken back.

import { EngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { ReplacedState, StateDescription } from "./state-file.ts"

/** The newest replaced states are kept, and none for longer than this. */
export interface ReplacedStateRetention {
  /** 1 to 100: the last restore can always be taken back. Default 3. */
  readonly count?: number
  /** In milliseconds, a minute to 365 days. Default an hour. */
  readonly ms?: number
}

const COUNT_DEFAULT = 3
const COUNT_MAX = 100
const MS_DEFAULT = 60 * 60 * 1000
const MS_MIN = 60 * 1000
const MS_MAX = 365 * 24 * 60 * 60 * 1000

interface Held extends ReplacedState {
  readonly runs: readonly OpenRun[]
}

export class ReplacedStates {
  readonly #clock: Clock
  readonly #retention: Required<ReplacedStateRetention>
  /** Oldest first. */
  #states: readonly Held[] = []

  /** @throws EngineError `SETTING_INVALID` */
  constructor(clock: Clock, { count = COUNT_DEFAULT, ms = MS_DEFAULT }: ReplacedStateRetention = {}) {
    if (!Number.isInteger(count) || count < 1 || count > COUNT_MAX) {
      throw new EngineError("SETTING_INVALID", `${count} replaced states are kept; it is 1 to ${COUNT_MAX}`)
    }
    if (!Number.isInteger(ms) || ms < MS_MIN || ms > MS_MAX) {
      throw new EngineError(
        "SETTING_INVALID",
        `replaced states are kept for ${ms} ms; it is ${MS_MIN} to ${MS_MAX}`,
      )
    }
    this.#clock = clock
    this.#retention = { count, ms }
  }

  /** For the state file: what `trim` leaves. */
  get list(): ReplacedState[] {
    return this.#kept().map(({ handle, replacedMs, state }) => ({ handle, replacedMs, state }))
  }

  /**
   * Takes up the states in a state file, by `openRuns`. `onLost` hears of those that are not whole any more. Those that are
   * too old are held as well, until `trim`: nobody else holds yet what the present state shares with them.
   */
  async open(
    states: readonly ReplacedState[],
    openRuns: (state: StateDescription) => Promise<readonly OpenRun[]>,
    onLost: (handle: string, error: unknown) => void,
  ): Promise<void> {
    for (const state of states) {
      try {
        this.#states = [...this.#states, { ...state, runs: await openRuns(state.state) }]
      } catch (error) {
        onLost(state.handle, error)
      }
    }
  }

  /** Keeps a state, and for now all others; takes over the caller's holds on its runs. */
  add(handle: string, state: StateDescription, runs: readonly OpenRun[]): void {
    this.#states = [...this.#states, { handle, replacedMs: this.#clock.nowMs(), state, runs }]
  }

  /** Takes back the last `add`; gives up the holds. */
  removeLast(): void {
    const last = this.#states.at(-1)
    this.#states = this.#states.slice(0, -1)
    for (const run of last?.runs ?? []) run.release()
  }

  /** The state of a handle, its runs retained for the caller. @throws EngineError `REPLACED_STATE_NOT_FOUND` */
  get(handle: string): { readonly state: StateDescription; readonly runs: readonly OpenRun[] } {
    const found = this.#states.find((each) => each.handle === handle)
    if (found === undefined) {
      const { count, ms } = this.#retention
      throw new EngineError(
        "REPLACED_STATE_NOT_FOUND",
        `there is no replaced state ${handle}: the last ${count} are kept for ${Math.floor(ms / 60_000)} minutes`,
      )
    }
    for (const run of found.runs) run.retain()
    return found
  }

  /** Identities of all runs that are kept here. */
  runIds(): string[] {
    return this.#states.flatMap(({ runs }) => runs.map(({ figures }) => figures.id))
  }

  /** Gives up all holds. */
  close(): void {
    for (const { runs } of this.#states) for (const run of runs) run.release()
    this.#states = []
  }

  /** Gives up those that are too many or too old; called when the state file does not name them any more. */
  trim(): void {
    const kept = this.#kept()
    for (const state of this.#states) {
      if (!kept.includes(state)) for (const run of state.runs) run.release()
    }
    this.#states = kept
  }

  #kept(): readonly Held[] {
    const oldestMs = this.#clock.nowMs() - this.#retention.ms
    return this.#states.filter(({ replacedMs }) => replacedMs >= oldestMs).slice(-this.#retention.count)
  }
}
