// RocksDB as a contender, by its own db_bench: filled once, in ascending order, then one process for each round.
// Its cache is cold in each, so reads begin with a pass over the data where all of it fits.
//
// db_bench has no Zipf. Its reads can follow num * e^-r, r uniform in [0, x]: with x = ln(num) key number k comes in
// proportion to 1/k, which is Zipf with exponent 1, scrambled. Its writes cannot.

import { bytesOnDisk } from "./bytes-on-disk.ts"
import type { EngineCase, Memory, Workload } from "./engine-cases.ts"
import { KEYS_PER_GET_MANY } from "./engine-cases.ts"
import type { AmplificationFigures, LoadFigures } from "./engine-figures.ts"
import { runPeer } from "./peer-process.ts"
import { needProgram } from "./peers.ts"
import { makeScratch } from "./scratch.ts"
import { KEY_BYTES, RECORD_BYTES, VALUE_BYTES } from "./workload.ts"

const benchmarkOf = {
  set: "overwrite",
  get: "readrandom",
  mixed: "readrandomwriterandom",
  getMany: "multireadrandom",
} as const

/** The flags of every run, without the directory. */
export function rocksdbFlags({ keys, memory }: EngineCase): string[] {
  return [
    `--num=${keys}`,
    `--key_size=${KEY_BYTES}`,
    `--value_size=${VALUE_BYTES}`,
    "--threads=1",
    "--compression_type=none",
    // The same promise as the others: what is not in a snapshot yet may be lost in a crash.
    "--disable_wal=1",
    "--sync=0",
    ...memoryFlags(memory),
    "--bloom_bits=10",
  ]
}

export interface Rocksdb {
  readonly load: LoadFigures
  /** Operations per second, or undefined when db_bench has no such workload. */
  rate(workload: Workload, round: number): Promise<number | undefined>
  amplification(): Promise<AmplificationFigures>
  close(): Promise<void>
}

/** Fills a database. `close` removes it. */
export async function startRocksdb(engineCase: EngineCase, seconds: number): Promise<Rocksdb> {
  needProgram("db_bench")
  const { keys, memory } = engineCase
  const scratch = makeScratch("rocksdb")
  const run = (benchmarks: string, ...more: string[]): Promise<string> =>
    runPeer("db_bench", [
      `--benchmarks=${benchmarks}`,
      `--db=${scratch.path}`,
      ...rocksdbFlags(engineCase),
      ...more,
    ])
  try {
    await run("fillseq")
  } catch (error) {
    await scratch.remove()
    throw error
  }
  return {
    load: {},
    async rate({ action, distribution }, round) {
      const writes = action === "set" || action === "mixed"
      if (distribution === "zipf" && writes) return undefined
      const benchmark = benchmarkOf[action]
      const output = await run(
        memory.kind === "all" && action !== "set" ? `readseq,${benchmark}` : benchmark,
        "--use_existing_db=1",
        `--seed=${round}`,
        // Whole seconds only.
        `--duration=${Math.max(1, Math.round(seconds))}`,
        "--readwritepercent=50",
        ...(distribution === "zipf" ? [`--read_random_exp_range=${Math.log(keys)}`] : []),
        ...(action === "getMany" ? ["--multiread_batched=true", `--batch_size=${KEYS_PER_GET_MANY}`] : []),
      )
      return figureOf(output, new RegExp(`^${benchmark}\\s*:.*?(\\d+) ops/sec`, "m"), benchmark)
    },
    async amplification() {
      const overwrites = Math.min(keys, 2 ** 21)
      const output = await run("overwrite", "--use_existing_db=1", `--writes=${overwrites}`, "--statistics")
      const flushed = figureOf(output, /^rocksdb\.flush\.write\.bytes COUNT : (\d+)$/m, "overwrite")
      const merged = figureOf(output, /^rocksdb\.compact\.write\.bytes COUNT : (\d+)$/m, "overwrite")
      return {
        overwrites,
        writeAmplification: (flushed + merged) / (overwrites * RECORD_BYTES),
        spaceAmplification: bytesOnDisk(scratch.path) / (keys * RECORD_BYTES),
      }
    },
    close: () => scratch.remove(),
  }
}

function memoryFlags({ bufferBytes, cacheBytes }: Memory): string[] {
  return [`--cache_size=${cacheBytes}`, `--write_buffer_size=${bufferBytes}`, "--max_write_buffer_number=2"]
}

function figureOf(output: string, pattern: RegExp, benchmark: string): number {
  const figure = pattern.exec(output)?.[1]
  if (figure === undefined) throw new Error(`db_bench ${benchmark} printed no figure:\n${output}`)
  return Number(figure)
}
