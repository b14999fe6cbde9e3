// A partition's place on a machine: its directory, the engine over it while one is open, and what is promised of both.

import { BlockCache, type Engine, type EngineName, openEngine } from "@varve/engines"
import { isEngineError, type VersionName } from "@varve/engines/internal"
import { contents, tinySettings } from "../engines/engine-fixture.ts"
import { nameOf, type State } from "./known-versions.ts"
import type { Machine } from "./machine.ts"
import { distinct, type Outcome, untouched } from "./outcomes.ts"

export const STORE = "life"
export const PARTITION_COUNT = 2
/** How long states that a restore has replaced are kept, and how many, if not told otherwise. */
const REPLACED_MS = 3_600_000
const REPLACED_COUNT = 3

/** How an engine is opened. */
export interface Opening {
  readonly engine: EngineName
  readonly durability: "snapshot" | "log"
  readonly restoreMode: "lazy" | "eager"
}

interface Replaced {
  readonly handle: string
  readonly state: State
  readonly atMs: number
  readonly needs: ReadonlySet<string>
}

export class Seat {
  readonly partition: number
  readonly directory: string
  engine: Engine | undefined
  opening: Opening | undefined
  /** What the engine holds. */
  present = new Map<string, string>()
  /** While none is open: what the directory may come up with. */
  outcomes: readonly Outcome[] = [untouched]
  /** A call is under way on a machine that sleeps. */
  isBusy = false
  /** Nothing was written since the directory came up empty: no log may have begun. */
  isUnlogged = false
  /** Names of versions whose records may still have to come from the repository. */
  needs = new Set<string>()
  #replaced: Replaced[] = []

  constructor(partition: number) {
    this.partition = partition
    this.directory = `/partition-${partition}`
  }

  get isOpen(): boolean {
    return this.engine !== undefined && !this.isBusy
  }

  open(machine: Machine, opening: Opening): Promise<Engine> {
    this.opening = opening
    return machine.repository().then((repository) =>
      openEngine({
        ...opening,
        directory: this.directory,
        repository,
        store: STORE,
        partition: this.partition,
        partitionCount: PARTITION_COUNT,
        settings: tinySettings[opening.engine],
        valueBytesMax: 2048,
        owner: { name: machine.options.name, checkIntervalMs: 0 },
        log: { segmentBytes: 8192, checkpointBytes: 6000 },
        blockCache: new BlockCache(32_768),
        seams: machine.seams,
      }),
    )
  }

  /** The process ends: what its directory may come up with. */
  bury(outcomes: readonly Outcome[] = [this.leavesBehind()]): void {
    const unlogged = this.isUnlogged ? outcomes.filter(({ kind }) => kind === "log") : []
    this.outcomes = distinct([...outcomes, ...unlogged.map((each) => ({ ...each, kind: "crash" as const }))])
    this.engine = undefined
    this.isBusy = false
    this.#replaced = []
  }

  /** A restore has put another state in the place of the present one. */
  replace(handle: string, state: State, nowMs: number): void {
    const entry = { handle, state: new Map(this.present), atMs: nowMs, needs: new Set(this.needs) }
    this.#replaced = [...this.#replaced, entry].slice(-REPLACED_COUNT)
    this.present = new Map(state)
  }

  /** A replaced state that can still be had. */
  replaced(nowMs: number): Replaced | undefined {
    this.#replaced = this.#replaced.filter(({ atMs }) => nowMs - atMs < REPLACED_MS / 2)
    return this.#replaced[0]
  }

  forgetReplaced(): void {
    this.#replaced = []
  }

  /** Whether the version has to stay: records of it may not be here yet. */
  dependsOn(name: VersionName): boolean {
    const { engine } = this
    if (engine !== undefined && !this.isBusy) {
      const { bytesLocal, diskBytes } = engine.statistics()
      if (bytesLocal === diskBytes) this.needs.clear()
    }
    const wanted = nameOf({ partition: this.partition, ...name })
    return this.isBusy || this.needs.has(wanted) || this.#replaced.some(({ needs }) => needs.has(wanted))
  }

  /** All that the engine holds is what the model holds. */
  async compare(): Promise<void> {
    const found = await contents(this.engine!)
    const difference = differenceOf(found, this.present)
    if (difference !== undefined) throw new Error(`partition ${this.partition}: ${difference}`)
  }

  /** What the open engine leaves when its process ends now. */
  leavesBehind(): Outcome {
    const engine = this.engine!
    const isLogged = this.opening!.durability === "log"
    return {
      kind: isLogged ? "log" : "crash",
      epoch: engine.owner.epoch,
      line: [...engine.line],
      states: [new Map(this.present)],
    }
  }
}

/** The first difference, in words; undefined: none. */
export function differenceOf(found: State, expected: State): string | undefined {
  for (const [key, value] of expected) {
    const is = found.get(key)
    if (is === undefined) return `${key} is missing`
    if (is !== value) return `${key} is ${is.slice(0, 40)}, not ${value.slice(0, 40)}`
  }
  for (const key of found.keys()) if (!expected.has(key)) return `${key} should not be there`
  return undefined
}

export function hasReason(error: unknown, ...reasons: readonly string[]): boolean {
  return isEngineError(error) && reasons.includes(error.reason)
}
