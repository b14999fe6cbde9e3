// The yardstick: what the machine's memory allows, without any store. Random reads that depend on one another, in
// working sets as large as an index and its records.
//
//   slots    [ 20 bytes a key ]     slots[s] names a record, in random order
//   records  [ 120 bytes a key ]    records[r] names the next slot, and the next record of a cycle of its own
//
// One read: r -> r'. Two reads: s -> r -> s', the least that a hash index has to do. Both cycles go through all
// keys (Sattolo 1986), so no cache holds the next step.

import { type ChildWork, serveParent } from "./child-contender.ts"
import { seededRandom } from "./random.ts"

/** In words of 4 bytes. */
const SLOT_WORDS = 5
const RECORD_WORDS = 30
/** Steps between two looks at the clock. */
const STEPS = 4096

/** What one round found, in ns an operation. */
export interface ReadRound {
  readonly oneReadNs: number
  readonly twoReadsNs: number
}

function machineWork(keys: number, seconds: number): ChildWork {
  const slots = new Uint32Array(keys * SLOT_WORDS)
  const records = new Uint32Array(keys * RECORD_WORDS)

  /** Runs `walk` over and over for `seconds`; ns a step. */
  function timed(walk: (from: number) => number): number {
    let at = 0
    let steps = 0
    let elapsedMs = 0
    const started = performance.now()
    while (elapsedMs < seconds * 1000) {
      at = walk(at)
      steps += STEPS
      elapsedMs = performance.now() - started
    }
    return (elapsedMs * 1e6) / steps
  }

  return {
    async prepare() {
      const random = seededRandom(1)
      const order = cycle(keys, random)
      for (let r = 0; r < keys; r++) records[r * RECORD_WORDS + 1] = order[r]!
      const next = cycle(keys, random)
      // The record of slot s is order[s]: a permutation too.
      for (let s = 0; s < keys; s++) {
        slots[s * SLOT_WORDS] = order[s]!
        records[order[s]! * RECORD_WORDS] = next[s]!
      }
    },
    async measure(): Promise<ReadRound> {
      return {
        oneReadNs: timed((from) => {
          let r = from
          for (let i = 0; i < STEPS; i++) r = records[r * RECORD_WORDS + 1]!
          return r
        }),
        twoReadsNs: timed((from) => {
          let s = from
          for (let i = 0; i < STEPS; i++) s = records[slots[s * SLOT_WORDS]! * RECORD_WORDS]!
          return s
        }),
      }
    },
    async close() {
      // Memory goes with the process.
    },
  }
}

/** A permutation of `[0, count)` that is one cycle. */
function cycle(count: number, random: (bound: number) => number): Uint32Array {
  const next = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = random(i)
    const kept = next[i]!
    next[i] = next[j]!
    next[j] = kept
  }
  return next
}

const [keys, seconds] = process.argv.slice(2).map(Number)
serveParent(machineWork(keys!, seconds!))
