// What snapshots cost: bytes stored and time, for a full version and for versions after a hundredth of the keys
// changed; how long the caller's thread is held; the naive engine beside it.

import { join } from "node:path"
import { type EngineName, openEngine, type SnapshotResult } from "@varve/engines"
import { seededRandom } from "./random.ts"
import { median } from "./rounds.ts"
import { makeScratch } from "./scratch.ts"
import type { SuiteResult } from "./suite.ts"
import { KEY_BYTES, newKey, roundValue, setKey, VALUE_BYTES } from "./workload.ts"

const KEYS = 200_000
const CHANGED_KEYS = KEYS / 100
const ROUNDS = 7
const RECORD_BYTES = KEY_BYTES + VALUE_BYTES
const engines = ["hybrid-log", "memory"] as const satisfies readonly EngineName[]

interface SnapshotFigures {
  readonly engine: EngineName
  readonly full: SnapshotResult
  readonly incremental: readonly SnapshotResult[]
}

/** Runs the suite. */
export async function benchSnapshots(): Promise<SuiteResult> {
  const figures: SnapshotFigures[] = []
  for (const engine of engines) {
    process.stderr.write(`  ${engine}\n`)
    figures.push(await measure(engine))
  }
  return {
    suite: "snapshots",
    parameters: {
      keys: KEYS,
      keyBytes: KEY_BYTES,
      valueBytes: VALUE_BYTES,
      changedKeysPerVersion: CHANGED_KEYS,
      changedBytesPerVersion: CHANGED_KEYS * RECORD_BYTES,
      incrementalVersions: ROUNDS,
    },
    lines: figures.flatMap(linesOf),
    figures,
  }
}

async function measure(name: EngineName): Promise<SnapshotFigures> {
  const scratch = makeScratch("snapshots")
  const engine = await openEngine({
    engine: name,
    directory: join(scratch.path, "state"),
    repository: `file:${join(scratch.path, "repository")}`,
  })
  try {
    const key = newKey()
    const write = async (record: number, value: Buffer): Promise<void> => {
      setKey(key, record)
      const pending = engine.set(key, value)
      if (pending !== undefined) await pending
    }
    for (let i = 0; i < KEYS; i++) await write(i, roundValue(0))
    const full = await engine.snapshot({ version: 1 })
    const incremental: SnapshotResult[] = []
    for (let round = 1; round <= ROUNDS; round++) {
      const random = seededRandom(round)
      const chosen = new Set<number>()
      while (chosen.size < CHANGED_KEYS) chosen.add(random(KEYS))
      for (const record of chosen) await write(record, roundValue(round))
      incremental.push(await engine.snapshot({ version: round + 1 }))
    }
    return { engine: name, full, incremental }
  } finally {
    await engine.close()
    await scratch.remove()
  }
}

function linesOf({ engine, full, incremental }: SnapshotFigures): string[] {
  const of = (figure: (result: SnapshotResult) => number): number => median(incremental.map(figure))
  const changedBytes = CHANGED_KEYS * RECORD_BYTES
  const bytes = of(({ bytesNew }) => bytesNew)
  const ms = of(({ totalMs }) => totalMs)
  const seals = [full, ...incremental].map(({ sealMs }) => sealMs)
  return [
    `${engine}: full version        ${full.bytesNew} bytes stored in ${full.totalMs.toFixed(0)} ms`,
    `${engine}: 1 % of keys changed ${Math.round(bytes)} bytes stored in ${ms.toFixed(0)} ms (medians of ${incremental.length}): ` +
      `${(bytes / changedBytes).toFixed(2)}× the bytes of the changed records, ` +
      `${((bytes / full.bytesNew) * 100).toFixed(1)} % of the full version`,
    `${engine}: seal                ${median(seals).toFixed(3)} ms median, ${Math.max(...seals).toFixed(3)} ms at most`,
  ]
}
