// Restores of one partition, one at a time: another state takes the place of the one that is served.
//
//   choose      which state; its manifest is read, its runs are opened: open-runs.ts    whatever is wrong shows here
//               or, of another engine or other partitions, written anew
//   build       the next state beside the present one
//   settle      the present one on disk, nearly all of it while writes go on
//   hold writes, settle the little that came meanwhile, note the state as replaced
//   publish     the state file names the next state                                     until here nothing has changed
//   exchange    what is left is a pointer
//
// When publishing fails nobody knows what the file says. It is read: if it names the next state it is made to name the
// present one again, and if that fails too the partition takes no more writes.

import { EngineError } from "../base/error.ts"
import type { RestoreOptions, RestoreResult } from "../engine.ts"
import type { VersionName } from "../snapshots/manifest.ts"
import type { Checkpoints } from "./checkpoints.ts"
import { chooseSource } from "./choose-source.ts"
import { LiveState, type PartitionParts } from "./live-state.ts"
import { newIdentity, type PartitionSetting } from "./open-partition.ts"
import type { RestoreMode } from "./open-runs.ts"
import type { PublishedState } from "./published-state.ts"
import type { ReplacedStates } from "./replaced-states.ts"
import type { RestoreSource } from "./restore-source.ts"
import type { LogMark, StateDescription } from "./state-file.ts"
import type { WriteGate } from "./write-gate.ts"

const EMPTY = new Uint8Array(0)

/** What a restore needs of its partition, and does to it. */
export interface RestoreHost<Settings> {
  readonly setting: PartitionSetting<Settings>
  readonly parts: PartitionParts
  readonly replaced: ReplacedStates
  readonly published: PublishedState
  readonly gate: WriteGate
  /** Under durability `log`. */
  readonly checkpoints: Checkpoints | undefined
  /** What is served now, and where it stands. */
  present(): { readonly state: LiveState; readonly lineage: string; readonly line: readonly VersionName[] }
  /** Resolves when all versions that were asked for are committed or have failed. */
  snapshotsDone(): Promise<void>
  /** Runs `work` while nothing else publishes the state file. */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result>
  /** `next` is served from now on. Nothing may fail in here: the state file names it. */
  exchange(next: LiveState, lineage: string): void
}

export class Restores<Settings> {
  readonly #host: RestoreHost<Settings>
  #present: Promise<RestoreResult> | undefined

  constructor(host: RestoreHost<Settings>) {
    this.#host = host
  }

  /** @throws EngineError `RESTORE_IN_PROGRESS` */
  checkNone(): void {
    if (this.#present === undefined) return
    throw new EngineError("RESTORE_IN_PROGRESS", "a restore is under way: wait for its end")
  }

  /** Resolves when the one that is under way has ended, well or not. */
  async idle(): Promise<void> {
    await this.#present?.catch(() => undefined)
  }

  /** See `Engine.restore`. */
  async restore(options: RestoreOptions): Promise<RestoreResult> {
    this.checkNone()
    const restoring = this.#restore(options)
    this.#present = restoring
    try {
      return await restoring
    } finally {
      this.#present = undefined
    }
  }

  async #restore(options: RestoreOptions): Promise<RestoreResult> {
    const { setting, parts, replaced, published } = this.#host
    const { clock } = parts.seams
    const startedMs = clock.monotonicMs()
    // Versions asked for before stand on their timeline when it is decided whether this one forks it. None come later.
    await this.#host.snapshotsDone()
    const { state: old, line } = this.#host.present()
    const mode = options.mode ?? setting.restoreMode
    const source = await chooseSource(options, {
      identity: setting.identity,
      parts,
      line,
      replaced,
      openState: (own, description) => LiveState.open(own, setting, description, []),
      partitioning: setting.partitioning,
      ownerName: setting.owner.name,
      checkGoesOn: () => this.#host.gate.checkWritable(),
      mode,
    })
    const handle = newIdentity(parts)
    const next = await this.#putBack(source, handle, mode)
    replaced.trim()
    await old.close()
    // The state is in place: what goes wrong from here on costs space only.
    await published
      .removeUnusedRuns()
      .catch((error: unknown) => parts.warn("runs that are not used any more could not be removed", error))
    const { version, timeline, metadata } = next.position
    const totalMs = clock.monotonicMs() - startedMs
    // A state that was replaced may hold writes that came after its newest version: no version's metadata fits it.
    const isVersion = !("replaced" in options)
    return {
      version: isVersion ? version : 0,
      timeline,
      metadata: isVersion ? metadata : EMPTY,
      replaced: handle,
      totalMs,
      skipped: source.skipped ?? [],
      ...(source.converted === undefined ? {} : { converted: source.converted }),
    }
  }

  /** Builds the state of `source` and lets it change places with the present one; takes over the holds on its runs. */
  async #putBack(source: RestoreSource, handle: string, mode: RestoreMode): Promise<LiveState> {
    const { setting, parts } = this.#host
    // What the state file is going to name must not be merged away meanwhile.
    for (const run of source.runs) run.retain()
    try {
      const next = await LiveState.open(parts, setting, source.description, source.runs, mode)
      try {
        // Nearly all of it while writes go on; what came meanwhile is little, and writers wait for that.
        for (const run of (await this.#host.present().state.settle()).runs) run.release()
        await this.#host.exclusively(() => this.#changePlaces(next, source, handle))
        return next
      } catch (error) {
        await next.close()
        throw error
      }
    } finally {
      for (const run of source.runs) run.release()
    }
  }

  /** Settles the present state for good, and puts `next` in its place: on disk, and then in the partition. */
  async #changePlaces(next: LiveState, source: RestoreSource, handle: string): Promise<void> {
    const { parts, replaced, published, gate, checkpoints } = this.#host
    const lineage = newIdentity(parts)
    gate.hold()
    try {
      const settled = await this.#host.present().state.settle()
      checkpoints?.hold(settled.runs)
      replaced.add(handle, settled.description, settled.runs)
      let log: LogMark | undefined
      try {
        log = await checkpoints?.mark()
        await published.publish(source.description, lineage, log)
      } catch (error) {
        replaced.removeLast()
        await this.#takeBack(settled.description, { lineage, log })
        throw error
      }
      if (log !== undefined) {
        for (const run of source.runs) run.retain()
        checkpoints?.published(source.runs, log.from)
      }
    } finally {
      gate.letThrough()
    }
    this.#host.exchange(next, lineage)
  }

  /** The state file may name the state of a restore that failed: then it names the present one again. */
  async #takeBack(
    description: StateDescription,
    failed: { readonly lineage: string; readonly log: LogMark | undefined },
  ): Promise<void> {
    const { parts, published } = this.#host
    try {
      if ((await published.lineage()) !== failed.lineage) return
      await published.publish(description, this.#host.present().lineage, failed.log)
    } catch (error) {
      parts.poison(error)
    }
  }
}
