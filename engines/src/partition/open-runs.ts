// Opening the runs of a state that is to be served, wherever their bytes are.
//
//   here          opened                                           a run is known by its identity: content that is
//   not here      eager: fetched whole, then opened                here already is never fetched
//                 lazy:  opened at once, served while it comes
//
// Found before the state is served, in both modes: a recipe that is missing or wrong, and a pack that is missing or
// too short. Eager reads every chunk besides; lazy reads the index part of each run, and finds damaged records when
// they are asked for or come by themselves: then keys in them answer DATA_LOSS and the log says so.

import { eachAtOnce } from "../base/each-at-once.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { StoredRun } from "../snapshots/manifest.ts"
import type { PartitionParts } from "./live-state.ts"
import type { StateDescription } from "./state-file.ts"

/** How runs come that are not here: as they are needed, or before anything else. */
export const restoreModes = ["lazy", "eager"] as const
/** `lazy` or `eager`: what that means stands with `RestoreOptions`. */
export type RestoreMode = (typeof restoreModes)[number]

/** Runs of one state that are fetched, or whose index is, at the same time. */
const RUNS_AT_ONCE = 4

type Parts = Pick<PartitionParts, "directory" | "repository" | "seams" | "warn">

/**
 * The runs of a version, in its order; the caller holds them.
 * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`, `STORAGE_FULL`; none is held then
 */
export function openStoredRuns(
  parts: Parts,
  stored: readonly StoredRun[],
  mode: RestoreMode,
): Promise<OpenRun[]> {
  return holdingAll(async (hold) => {
    const found = await eachAtOnce(stored, RUNS_AT_ONCE, async (run) => {
      const local = await parts.directory.findById(run.id, run)
      if (local !== undefined) hold(local)
      return local
    })
    const missing = stored.filter((_, at) => found[at] === undefined)
    if (mode === "lazy") return serveWhileFetched(parts, missing, hold)
    await fetchWhole(parts, missing, hold)
    for (const run of found) await run?.becomeLocal()
  }, stored)
}

/**
 * The runs of a state as the state file describes it, in its order; the caller holds them. Those that were on their
 * way when it was written are served lazily unless they have come since.
 * @throws (rejects) EngineError as `openStoredRuns`; none is held then
 */
export function openDescribedRuns(parts: Parts, description: StateDescription): Promise<OpenRun[]> {
  const arriving = new Set(description.arriving)
  return holdingAll(async (hold) => {
    const missing: StoredRun[] = []
    for (const figures of description.runs) {
      const stored = description.stored[figures.id]?.find(({ id }) => id === figures.id)
      if (stored === undefined || !arriving.has(figures.id)) {
        hold(await parts.directory.open(figures))
        continue
      }
      const local = await parts.directory.findById(figures.id)
      if (local === undefined) missing.push(stored)
      else hold(local)
    }
    await serveWhileFetched(parts, missing, hold)
  }, description.runs)
}

/** Identities of those that are not whole here, for the state file; nothing when all are. */
export function arrivingRuns(runs: readonly OpenRun[]): { arriving?: string[] } {
  const arriving = runs.filter(({ isLocal }) => !isLocal).map(({ figures }) => figures.id)
  return arriving.length === 0 ? {} : { arriving }
}

async function fetchWhole(
  { directory, repository }: Parts,
  missing: readonly StoredRun[],
  hold: (run: OpenRun) => void,
): Promise<void> {
  await eachAtOnce(missing, RUNS_AT_ONCE, async (run) => {
    await repository.fetchRun(run, directory.pathFor(run))
    hold(await directory.adopt(run))
  })
}

async function serveWhileFetched(
  { directory, repository, seams, warn }: Parts,
  missing: readonly StoredRun[],
  hold: (run: OpenRun) => void,
): Promise<void> {
  if (missing.length === 0) return
  const chunks = await repository.storedRuns.find(missing)
  await eachAtOnce(missing.entries(), RUNS_AT_ONCE, async ([at, run]) => {
    hold(
      await directory.arrive(run, (path) =>
        repository.storedRuns.arrive({ figures: run, chunks: chunks[at]!, path }, seams, warn),
      ),
    )
  })
}

/** What `open` holds, in the order of `wanted`; when it fails, nothing is held any more. */
async function holdingAll(
  open: (hold: (run: OpenRun) => void) => Promise<void>,
  wanted: readonly { readonly id: string }[],
): Promise<OpenRun[]> {
  const held = new Map<string, OpenRun>()
  try {
    await open((run) => held.set(run.figures.id, run))
  } catch (error) {
    for (const run of held.values()) run.release()
    throw error
  }
  return wanted.map(({ id }) => held.get(id)!)
}
