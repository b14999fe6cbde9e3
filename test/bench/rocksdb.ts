// RocksDB as a contender, by its own db_bench: filled once, then `overwrite` and `readrandom` for each round.

import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ChildContender } from "./child-contender.ts"
import { needProgram } from "./peers.ts"
import { KEY_BYTES, VALUE_BYTES } from "./workload.ts"

const benchmarkOf: Readonly<Record<string, string>> = { set: "overwrite", get: "readrandom" }

/** The flags of every run, without the directory. */
export function rocksdbFlags(keys: number, cacheBytes: number): string[] {
  return [
    `--num=${keys}`,
    `--key_size=${KEY_BYTES}`,
    `--value_size=${VALUE_BYTES}`,
    "--threads=1",
    "--compression_type=none",
    // The same promise as the others: what is not in a snapshot yet may be lost in a crash.
    "--disable_wal=1",
    "--sync=0",
    `--cache_size=${cacheBytes}`,
    "--bloom_bits=10",
  ]
}

/** Fills a database and gives the contender. `close` removes the database. */
export async function startRocksdb(keys: number, cacheBytes: number): Promise<ChildContender> {
  needProgram("db_bench")
  const directory = mkdtempSync(join(tmpdir(), "varve-bench-rocksdb-"))
  const run = (benchmark: string, ...more: string[]): number => {
    const flags = [
      `--benchmarks=${benchmark}`,
      `--db=${directory}`,
      ...rocksdbFlags(keys, cacheBytes),
      ...more,
    ]
    const output = execFileSync("db_bench", flags, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
    const figure = new RegExp(`^${benchmark}\\s*:.*?(\\d+) ops/sec`, "m").exec(output)?.[1]
    if (figure === undefined) throw new Error(`db_bench ${benchmark} printed no figure:\n${output}`)
    return Number(figure)
  }
  run("fillseq")
  return {
    name: "rocksdb",
    async measure(measurement, round) {
      return run(benchmarkOf[measurement]!, "--use_existing_db=1", `--seed=${round}`)
    },
    async close() {
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
