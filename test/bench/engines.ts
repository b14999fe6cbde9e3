// Point operations inside an engine: Varve's hybrid log in process against lmdb, classic-level and RocksDB.
// One thread, one operation a call for Varve; lmdb and classic-level write in transactions of 1,000, since a
// transaction for each record would be far slower for them.

import { startContender } from "./child-contender.ts"
import { packageVersion } from "./machine.ts"
import { needProgram, programVersion } from "./peers.ts"
import { rocksdbFlags, startRocksdb } from "./rocksdb.ts"
import { comparisonLines, interleave } from "./rounds.ts"
import type { SuiteResult } from "./suite.ts"
import { KEY_BYTES, VALUE_BYTES } from "./workload.ts"

const KEYS = 1_000_000
/** Enough for all records: this suite is about memory and processor, not about the disk. */
const CACHE_BYTES = 256 * 1024 * 1024
const ROUNDS = 3
const module = new URL("./engine-contenders.ts", import.meta.url)

/** Runs the suite. */
export async function benchEngines(): Promise<SuiteResult> {
  needProgram("db_bench")
  const contenders = []
  try {
    for (const name of ["varve", "lmdb", "classic-level"]) {
      process.stderr.write(`  fill ${name}\n`)
      contenders.push(await startContender(name, module, [name, String(KEYS), String(CACHE_BYTES)]))
    }
    process.stderr.write("  fill rocksdb\n")
    contenders.push(await startRocksdb(KEYS, CACHE_BYTES))
    const rows = await interleave(contenders, ["set", "get"], ROUNDS)
    return {
      suite: "engines",
      parameters: {
        keys: KEYS,
        keyBytes: KEY_BYTES,
        valueBytes: VALUE_BYTES,
        operationsPerRound: KEYS,
        order: "uniformly random",
        varve: `hybrid-log, roLagInterval ${CACHE_BYTES}`,
        lmdb: `${packageVersion("lmdb")}, noSync, transactions of 1000 writes`,
        "classic-level": `${packageVersion("classic-level")}, batches of 1000 writes, cache ${CACHE_BYTES}`,
        rocksdb: `${programVersion("db_bench")}, ${rocksdbFlags(KEYS, CACHE_BYTES).join(" ")}`,
      },
      lines: comparisonLines(rows, "ops/s"),
      figures: rows,
    }
  } finally {
    for (const contender of contenders) await contender.close()
  }
}
