// Writes everything below a seal as runs, in slices, so that reads and writes go on. Dumps follow one another: the
// layers of one are folded together before the next begins. A dump of a state that has not changed is the one before.
//
// A version is to store little more than what has changed, so a dump is to be the last one wherever nothing changed:
//
//   order    that in which the keys first came. A restart and a restore read run by run: what a run holds stays together
//   hashes   of the state's seed, which stays with it
//   cuts     a run ends where a hash of the next key says so. The hash section of a run says where each record lies: a
//            record that goes, or changes its length, moves those behind it, but in no other run
//   runs     that hold what one of the last dump holds are given up for that one: a run has bytes of its own besides
//
// As long as the runs that the state was opened with are not loaded, they stay as they are, and a dump writes what has
// changed since: runs above them, a patch. So no version, stop or restore waits for the load, nor for runs that cannot
// be had.

import { isEngineError } from "../../base/error.ts"
import type { CoreHost } from "../../core.ts"
import type { DumpState } from "../../runs/dump-state.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import { UnopenedRun } from "../../runs/unopened-run.ts"
import { DumpedRuns } from "./dumped-runs.ts"
import type { ByteString, Layer, Layers } from "./layers.ts"

/** Records encoded, or keys folded, in one turn of the event loop: about 2 ms. */
const SLICE_RECORDS = 2048
/** Records of a run on average: 48 KiB of hashes, which a record that goes may change. */
const RUN_RECORDS = 4096
/** Runs of a dump on average at most, times two: those of a large state are longer. */
const RUNS_WANTED = 64

export class Dumper {
  readonly #host: CoreHost<unknown>
  readonly #layers: Layers
  #last: Promise<void> = Promise.resolve()
  /** What the runs of the host hold, by the number of changes before. */
  #dumpedChangeCount = 0
  /** The runs that the state was opened with. */
  readonly #opened: readonly OpenRun[]
  #isPatched: boolean
  /** Of the records of runs of the last dump. */
  #digests: ReadonlyMap<OpenRun, string> = new Map()
  dumpCount = 0
  bytesDumped = 0

  /** @param isPatched whether the runs of the host are */
  constructor(host: CoreHost<unknown>, layers: Layers, isPatched: boolean) {
    this.#host = host
    this.#layers = layers
    this.#opened = host.runs.newestFirst
    this.#isPatched = isPatched
  }

  /** What is to be known of the runs of the last dump. */
  get state(): DumpState {
    return { isPatched: this.#isPatched }
  }

  /**
   * Resolves the runs, newest first, durable and retained, that hold everything below `layer`; none when that is nothing.
   * @param changeCount of the layers when the layer was made
   */
  dump(layer: Layer, changeCount: number): Promise<readonly OpenRun[]> {
    const dumped = this.#last.then(() => this.#dump(layer, changeCount))
    this.#last = dumped.then(
      () => this.#fold(),
      () => this.#fold(),
    )
    return dumped
  }

  /** All runs are loaded: what was written meanwhile is folded into them, behind dumps that were asked for. */
  loaded(): void {
    this.#last = this.#last.then(() => this.#fold())
  }

  /** Waits for the dump that is under way. */
  async close(): Promise<void> {
    await this.#last
  }

  async #dump(layer: Layer, changeCount: number): Promise<readonly OpenRun[]> {
    const { runs } = this.#host
    if (changeCount === this.#dumpedChangeCount) return runs.retainAll()
    const before = runs.newestFirst
    const isPatch = this.#layers.isLoading
    const { fresh, digests } = await this.#write(
      isPatch ? this.#layers.changes(layer) : this.#layers.entries(layer),
    )
    for (const run of fresh) runs.add(run)
    runs.remove(before.filter((run) => !digests.has(run) && !(isPatch && this.#opened.includes(run))))
    this.#digests = digests
    this.#dumpedChangeCount = changeCount
    this.#isPatched = isPatch
    return runs.retainAll()
  }

  /** Writes what the runs of the host do not hold. @returns the new runs, held; and what all runs of the dump hold */
  async #write(
    entries: Iterable<[ByteString, Uint8Array]>,
  ): Promise<{ fresh: readonly OpenRun[]; digests: ReadonlyMap<OpenRun, string> }> {
    const known = new Map([...this.#digests].map(([run, digest]) => [digest, run]))
    const fresh: OpenRun[] = []
    const digests = new Map<OpenRun, string>()
    const dump = new DumpedRuns(this.#host, cutMask(this.#layers.keyCount), {
      isKnown: (digest) => {
        const run = known.get(digest)
        if (run !== undefined) digests.set(run, digest)
        return run !== undefined
      },
      onRun: (run, digest) => {
        fresh.push(run)
        digests.set(run, digest)
        this.bytesDumped += run.figures.bytes
      },
    })
    try {
      let sliceCount = 0
      for (const [key, value] of entries) {
        const pending = dump.add(key, value)
        if (pending !== undefined) await pending
        if (++sliceCount % SLICE_RECORDS === 0) await this.#host.clock.nextTurn()
      }
      await dump.finish()
      if (fresh.length > 0) this.dumpCount++
      return { fresh, digests }
    } catch (error) {
      // Space comes back, and a read that failed has lost nothing; a disk that failed to write may have lost more than
      // it told.
      if (!isEngineError(error, "STORAGE_FULL") && !(error instanceof UnopenedRun)) this.#host.poison(error)
      await dump.abandon()
      for (const run of fresh) run.release()
      throw error
    }
  }

  async #fold(): Promise<void> {
    let stepCount = 0
    const steps = this.#layers.fold()
    while (steps.next().done !== true) {
      if (++stepCount % SLICE_RECORDS === 0) await this.#host.clock.nextTurn()
    }
  }
}

/** Ones below the highest bit: a key whose hash has none of them begins a run. */
function cutMask(keyCount: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(RUN_RECORDS, keyCount / RUNS_WANTED))) - 1
}
