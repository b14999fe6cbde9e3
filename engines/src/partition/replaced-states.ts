// States that a restore has replaced. Their runs stay for a while, so that a restore can be taken back.

import { EngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { RunDirectory } from "../runs/run-directory.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { ReplacedState, StateDescription } from "./state-file.ts"

/** The newest ones are kept, and none for longer than this. */
const REPLACED_STATES_MAX = 3
const REPLACED_STATE_MS = 60 * 60 * 1000

interface Held extends ReplacedState {
  readonly runs: readonly OpenRun[]
}

export class ReplacedStates {
  readonly #clock: Clock
  /** Oldest first. */
  #states: readonly Held[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** For the state file: what `trim` leaves. */
  get list(): ReplacedState[] {
    return this.#kept().map(({ handle, replacedMs, state }) => ({ handle, replacedMs, state }))
  }

  /** Opens the runs of the states in a state file. `onLost` hears of those that are not whole any more. */
  async open(
    states: readonly ReplacedState[],
    directory: RunDirectory,
    onLost: (handle: string, error: unknown) => void,
  ): Promise<void> {
    for (const state of states) {
      const runs: OpenRun[] = []
      try {
        for (const figures of state.state.runs) runs.push(await directory.open(figures))
        this.#states = [...this.#states, { ...state, runs }]
      } catch (error) {
        for (const run of runs) run.release()
        onLost(state.handle, error)
      }
    }
    this.trim()
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
      throw new EngineError(
        "REPLACED_STATE_NOT_FOUND",
        `there is no replaced state ${handle}: the last ${REPLACED_STATES_MAX} are kept for ${REPLACED_STATE_MS / 60_000} minutes`,
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
    const oldestMs = this.#clock.nowMs() - REPLACED_STATE_MS
    return this.#states.filter(({ replacedMs }) => replacedMs >= oldestMs).slice(-REPLACED_STATES_MAX)
  }
}
