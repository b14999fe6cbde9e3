// What a directory may come up with: the promises of its last life, as a list of possibilities, and which of them an
// opening has met. A life that ends between two steps leaves one; one that ends in the middle of a call leaves several.
//
//   clean     continued   as it was                                       ┐ unless another owner
//   log       replayed    one of `states`: all that was acknowledged      ├ wrote versions since:
//   crash     crashed     the newest version on `line`, or nothing        ┘ the newest version there is
//   new       new         the newest version there is, or nothing

import type { Recovery } from "@varve/engines"
import type { VersionName, VersionSummary } from "@varve/engines/internal"
import type { State } from "./known-versions.ts"

export interface Outcome {
  readonly kind: "new" | "clean" | "log" | "crash"
  /** Of the owner whose state it is. */
  readonly epoch: number
  /** Open at its end. */
  readonly line: readonly VersionName[]
  readonly states: readonly State[]
}

/** What an opening is to come up with. */
export interface Expected {
  readonly recovery: Recovery
  /** The version that is put back; undefined: none is. */
  readonly version: VersionName | undefined
  /** Without a version: one of these. */
  readonly states: readonly State[]
}

const EMPTY: State = new Map()

export const untouched: Outcome = { kind: "new", epoch: 0, line: [], states: [] }

/** What an opening makes of `outcome` when these versions are listed, oldest first. */
export function expectedOf(outcome: Outcome, listed: readonly VersionSummary[]): Expected {
  const isOvertaken = outcome.kind !== "new" && listed.some(({ epoch }) => epoch > outcome.epoch)
  const newest = newestOf(listed, isOvertaken ? [] : outcome.line)
  const restored = { version: newest, states: [EMPTY] }
  if (outcome.kind === "new") return { recovery: "new", ...restored }
  if (outcome.kind === "crash") return { recovery: "crashed", ...restored }
  if (isOvertaken) return { recovery: "overtaken", ...restored }
  const recovery = outcome.kind === "clean" ? "continued" : "replayed"
  return { recovery, version: undefined, states: outcome.states }
}

/** The newest version for who stands on `line`; for who stands on none of them, the newest of the last timeline. */
export function newestOf(
  listed: readonly VersionSummary[],
  line: readonly VersionName[],
): VersionSummary | undefined {
  const isOn = ({ timeline, version }: VersionName): boolean =>
    line.some((stretch) => stretch.timeline === timeline && version <= stretch.version)
  const last = listed.at(-1)?.timeline
  const onLine = listed.filter(isOn)
  const candidates = onLine.length > 0 ? onLine : listed.filter(({ timeline }) => timeline === last)
  return [...candidates].sort((a, b) => a.version - b.version).at(-1)
}

/** What a state that goes on from `version` leaves when its process ends. */
export function continuing(
  version: VersionSummary,
  state: State,
  { epoch, isLogged }: { readonly epoch: number; readonly isLogged: boolean },
): Outcome {
  const open = { timeline: version.timeline, version: Number.MAX_SAFE_INTEGER }
  // Only for a version that has no later ones on its timeline; otherwise the line ends in it.
  const line = [...version.line, open]
  return { kind: isLogged ? "log" : "crash", epoch, line, states: [state] }
}

/** The outcomes without those that say the same. */
export function distinct(outcomes: readonly Outcome[]): Outcome[] {
  const seen = new Map<string, Outcome>()
  for (const outcome of outcomes) {
    const states = outcome.kind === "crash" ? [] : outcome.states.map((state) => [...state].sort())
    seen.set(JSON.stringify([outcome.kind, outcome.epoch, outcome.line, states]), outcome)
  }
  return [...seen.values()]
}
