// Checkpoints of a partition under durability `log`: what the state file names is always believed, a state on disk
// and the position in the log from which writes came after it.
//
//   seal, position ── flush ── log synced up to it ── state file {runs, position} ── runs of the last one let go, log trimmed
//
//   log   ───────┬──────────────┬───────────── end          a crash here: runs of the checkpoint, and the log from its
//             last one       next one                       position on
//
// Made when the log has grown long enough, after each version (whose runs are on disk anyway), and at a clean stop. What
// was replayed at the opening counts as growth: whoever crashes again and again does not replay more each time. A restore
// publishes its state with the position of that moment. The runs that the state file names are held here, so that merges
// do not delete them.
//
// Until the state file names the log, which the first write brings about, a partition that is new or has lost its state
// in a crash looks like that to whoever opens it again: a version may still be put back first.

import { EngineError, isEngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { Log } from "../log/log.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { LiveState } from "./live-state.ts"
import type { LogMark, StateDescription } from "./state-file.ts"

const CHECKPOINT_BYTES_DEFAULT = 64 * 1024 * 1024
/** How long to wait before a full disk is tried again. */
const FULL_RETRY_MS = 1000

/** A state on disk, as of a position in the log. */
export interface Checkpoint {
  readonly description: StateDescription
  /** Held by whoever has the checkpoint. */
  readonly runs: readonly OpenRun[]
  readonly from: number
}

export interface CheckpointHost {
  readonly log: Log
  readonly logId: string
  readonly checkpointBytes: number | undefined
  readonly clock: Clock
  /** The state that is served. */
  state(): LiveState
  /** Publishes the state file, not clean. */
  publish(present: StateDescription, log: LogMark): Promise<void>
  warn(message: string, error: unknown): void
  /** Writes were applied of which nobody can say that they survive. */
  poison(error: unknown): void
}

export class Checkpoints {
  readonly #host: CheckpointHost
  readonly #log: Log
  readonly #bytesMax: number
  /** Of checkpoints that the state file may name: the last one published, and later ones that failed. */
  #held: (readonly OpenRun[])[]
  #from: number
  /** Of the log's figures; negative by what had been in the log before it was opened. */
  #bytesAtLast: number
  /** What the state file is to say when it does not name the log yet. */
  #unnamed: Checkpoint | undefined
  #naming: Promise<void> | undefined
  #isRequested = false
  #isClosed = false
  /** Ends the wait for a full disk. */
  readonly #closing = new AbortController()
  #last: Promise<unknown> = Promise.resolve()

  /**
   * @param opened the checkpoint that the state was opened from, and the bytes of the log that were replayed behind it;
   * takes over the holds. `isNamed`: the file has it
   */
  constructor(
    host: CheckpointHost,
    opened: Checkpoint & { readonly replayedBytes: number },
    isNamed: boolean,
  ) {
    this.#host = host
    this.#log = host.log
    this.#bytesMax = host.checkpointBytes ?? CHECKPOINT_BYTES_DEFAULT
    this.#held = [opened.runs]
    this.#from = opened.from
    this.#bytesAtLast = -opened.replayedBytes
    this.#unnamed = isNamed ? undefined : opened
  }

  get log(): Log {
    return this.#log
  }

  /** Throws when the log cannot take a batch; see `Log.admit`. */
  admit(bytes: number): void {
    this.#log.admit(bytes)
  }

  /** Appends a batch, before it is applied. @param head what stands before it in its entry @returns its position */
  append(batch: Uint8Array, head?: Uint8Array): number {
    const position = this.#log.append(batch, head)
    if (this.#log.bytesAppended - this.#bytesAtLast >= this.#bytesMax) this.#request()
    return position
  }

  /** Resolves when the batch at `position` survives a crash and the core is ready for more. */
  acknowledged(position: number, pending: Promise<void> | undefined): Promise<void> | undefined {
    const synced = this.#log.synced(position)
    const named = this.#unnamed === undefined ? undefined : this.#name()
    if (named === undefined && pending === undefined) return synced
    return Promise.all([synced, named, pending]).then(() => undefined)
  }

  /** Runs `work` while nothing else publishes the state file; in the order of the calls. */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => undefined)
    return done
  }

  /** For a state that holds everything written so far: where the log goes on, once all before is synced. */
  async mark(): Promise<LogMark> {
    const from = this.#log.end
    await this.#log.synced(from - 1)
    return { id: this.#host.logId, from }
  }

  /** Holds the runs of a state that the state file may come to name. */
  hold(runs: readonly OpenRun[]): void {
    for (const run of runs) run.retain()
    this.#held.push([...runs])
  }

  /** The state file names these runs now, with the log from `from` on. Takes over the holds. */
  published(runs: readonly OpenRun[], from: number): void {
    const held = [...runs]
    this.#held.push(held)
    this.#release(held, from)
  }

  /** A version of `state` was committed: its runs make a checkpoint for nothing. Takes over the holds. */
  committed(state: LiveState, checkpoint: Checkpoint): void {
    void this.exclusively(async () => {
      const isPast = this.#isClosed || this.#host.state() !== state || checkpoint.from < this.#from
      if (!isPast) return this.#publish(checkpoint)
      for (const run of checkpoint.runs) run.release()
    }).catch((error: unknown) => this.#host.warn("a version could not be noted in the state file", error))
  }

  /** From now on a full disk is not waited for: the partition is being closed. */
  giveUpWhenFull(): void {
    this.#closing.abort()
    this.#log.giveUpWhenFull()
  }

  /** No more checkpoints; the log is closed, and the runs are let go. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.giveUpWhenFull()
    await this.#last
    try {
      await this.#log.close()
    } finally {
      for (const runs of this.#held) for (const run of runs) run.release()
      this.#held = []
    }
  }

  #request(): void {
    if (this.#isRequested) return
    this.#isRequested = true
    void this.exclusively(() => this.#checkpoint())
      .catch((error: unknown) => {
        // Not again with the next write, but when as much has come once more.
        this.#bytesAtLast = this.#log.bytesAppended
        this.#host.warn("a checkpoint failed; the log grows until the next one", error)
      })
      .finally(() => {
        this.#isRequested = false
      })
  }

  async #checkpoint(): Promise<void> {
    if (this.#isClosed) return
    // One turn: the position is that of the seal.
    const from = this.#log.end
    const settled = this.#host.state().settle()
    await this.#publish({ ...(await settled), from })
  }

  #name(): Promise<void> {
    this.#naming ??= this.#nameUntilDone().finally(() => {
      this.#naming = undefined
    })
    return this.#naming
  }

  /** The writes that wait for it are applied and logged: they are not refused any more, they wait for space. */
  async #nameUntilDone(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        await this.exclusively(async () => {
          const checkpoint = this.#unnamed
          if (checkpoint !== undefined && !this.#closing.signal.aborted) await this.#publish(checkpoint)
        })
        if (this.#unnamed === undefined) return
      } catch (error) {
        if (!isEngineError(error, "STORAGE_FULL")) {
          this.#host.poison(error)
          throw error
        }
        await this.#host.clock.sleep(FULL_RETRY_MS, this.#closing.signal, "idle")
      }
    }
    throw new EngineError("ENGINE_CLOSED", "the engine was closed before the write was durable")
  }

  async #publish({ description, runs, from }: Checkpoint): Promise<void> {
    // Held from now on, also when it fails: the file may have been replaced all the same.
    const held = [...runs]
    this.#held.push(held)
    await this.#log.synced(from - 1)
    await this.#host.publish(description, { id: this.#host.logId, from })
    this.#release(held, from)
  }

  /** Lets everything go that the state file does not name any more. */
  #release(named: readonly OpenRun[], from: number): void {
    const old = this.#held.filter((each) => each !== named)
    this.#held = [named]
    this.#from = from
    this.#unnamed = undefined
    this.#bytesAtLast = this.#log.bytesAppended
    for (const runs of old) for (const run of runs) run.release()
    this.#log.trim(from)
  }
}
