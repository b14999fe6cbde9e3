// Blocks of new runs that will soon be read, taken into the cache before they are asked for. A flush moves records from
// memory to disk and a merge from one file to another; without this each of them makes what was read fast slow, until
// every block was asked of the disk once more.
//
//   cached blocks of older runs   [ a…c ]          [ k…m ][ n…p ]        what readers ask for
//   blocks of the new run         [ a…b ][ b…f ][ f…k ][ k…o ][ o…z ]
//                                    ▲      ▲              ▲     ▲       taken: where the block starts, an older run's
//                                                                        block of that key is cached
//
// Only spare room is taken, and inputs of a merge give theirs up: nothing that is read goes for something that may be.
// A state that nobody reads has no cached blocks, so nothing is read back. One run after the other, in pieces.

import { isEngineError } from "../../base/error.ts"
import type { Clock } from "../../io/clock.ts"
import type { OpenRun } from "../../runs/open-run.ts"
import { RUN_BLOCK_BYTES } from "../../runs/run-format.ts"

/** Blocks read, checked and kept at a time: 256 KiB. */
const READ_BLOCKS = 64
/** Blocks that nobody wants are read with their neighbours when there are no more of them than this. */
const GAP_BLOCKS = 4
/** Data blocks looked at in one turn of the event loop. */
const CHOOSE_BLOCKS = 512

interface WarmingHost {
  readonly clock: Clock
  /** Hears of a broken invariant. */
  poison(error: unknown): void
}

/** One engine has it, who closes it. */
export class Warming {
  readonly #host: WarmingHost
  #isClosed = false
  #work: Promise<void> = Promise.resolve()

  constructor(host: WarmingHost) {
    this.#host = host
  }

  /** A run was flushed, above the `older` ones. */
  added(run: OpenRun, older: readonly OpenRun[]): void {
    if (older.length === 0 || run.spareBlocks === 0) return
    this.#enqueue(run, async () => this.#read(run, await this.#choose(run, older)))
  }

  /** A merge has made `output` of `inputs`, which are read no more. Resolves when it needs them no more. */
  async replaced(inputs: readonly OpenRun[], output: OpenRun): Promise<void> {
    const blocks = await this.#choose(output, inputs)
    for (const input of inputs) {
      for (let slot = input.forgetBlocks(0); slot >= 0; slot = input.forgetBlocks(slot)) {
        await this.#host.clock.nextTurn()
      }
    }
    this.#enqueue(output, () => this.#read(output, blocks))
  }

  /** Stops, and waits for the read under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#work
  }

  #enqueue(run: OpenRun, work: () => Promise<void>): void {
    if (this.#isClosed) return
    run.retain()
    this.#work = this.#work
      .then(work)
      .catch((error: unknown) => {
        // A damaged or unreadable block: who needs it meets the same error, and is told.
        if (!isEngineError(error)) this.#host.poison(error)
      })
      .finally(() => run.release())
  }

  /** The blocks of `run`, ascending, where blocks of `older` runs for the same keys are cached. */
  async #choose(run: OpenRun, older: readonly OpenRun[]): Promise<number[]> {
    const { fences } = run.sortedIndex!
    const chosen: number[] = []
    for (let i = 0; i < fences.count && !this.#isClosed; i++) {
      if (i % CHOOSE_BLOCKS === CHOOSE_BLOCKS - 1) await this.#host.clock.nextTurn()
      const block = Math.floor(fences.start(i) / RUN_BLOCK_BYTES)
      if (block === chosen.at(-1)) continue
      const isRead = older.some(({ sortedIndex }, n) => {
        const at = sortedIndex!.fences.start(sortedIndex!.fences.findFence(fences, i))
        return older[n]!.isCached(Math.floor(at / RUN_BLOCK_BYTES))
      })
      if (isRead) chosen.push(block)
    }
    return chosen
  }

  async #read(run: OpenRun, blocks: readonly number[]): Promise<void> {
    if (blocks.length === 0) return
    const target = Buffer.allocUnsafeSlow(READ_BLOCKS * RUN_BLOCK_BYTES)
    for (let from = 0; from < blocks.length && !this.#isClosed && run.spareBlocks > 0; ) {
      const first = blocks[from]!
      let to = from + 1
      while (
        to < blocks.length &&
        blocks[to]! < first + READ_BLOCKS &&
        blocks[to]! - blocks[to - 1]! <= GAP_BLOCKS
      ) {
        to++
      }
      const bytes = await run.readBlocks(first, blocks[to - 1]! + 1 - first, target)
      for (; from < to && run.spareBlocks > 0; from++) {
        const at = (blocks[from]! - first) * RUN_BLOCK_BYTES
        run.keepBlock(blocks[from]!, target, at, Math.min(at + RUN_BLOCK_BYTES, bytes))
      }
    }
  }
}
