// Point operations inside an engine: each engine of Varve in process, beside lmdb, classic-level and RocksDB's
// db_bench, and the machine's own memory. README.md says how to read the figures.

import { type EngineCase, engineCases, workloads } from "./engine-cases.ts"
import type { CaseFigures, EngineFigures, Rate, ReadFigures } from "./engine-figures.ts"
import { type EngineContender, startEngineContender, startMachineContender } from "./engine-group.ts"
import type { EngineOptions } from "./engine-options.ts"
import { caseLines, targetLines } from "./engine-tables.ts"
import { engineTargets } from "./engine-targets.ts"
import { packageVersion } from "./machine.ts"
import { needProgram, programVersion } from "./peers.ts"
import { rocksdbFlags } from "./rocksdb.ts"
import { SLICE } from "./store.ts"
import type { SuiteResult } from "./suite.ts"
import { KEY_BYTES, VALUE_BYTES } from "./workload.ts"

/** Runs the suite. */
export async function benchEngines(options: EngineOptions): Promise<SuiteResult> {
  if (options.contenders.includes("rocksdb")) needProgram("db_bench")
  const cases: CaseFigures[] = []
  for (const engineCase of engineCases(options.keyCounts, options.budgetBytes)) {
    cases.push(await runCase(engineCase, options))
  }
  const figures: EngineFigures = { cases, targets: engineTargets(cases) }
  return {
    suite: "engines",
    parameters: parametersOf(options),
    lines: [...cases.flatMap((figure) => caseLines(figure)), "", ...targetLines(figures.targets)],
    figures,
  }
}

async function runCase(engineCase: EngineCase, options: EngineOptions): Promise<CaseFigures> {
  const { keys, memory } = engineCase
  const { rounds, seconds } = options
  const say = (text: string): boolean => process.stderr.write(`  ${keys} keys, ${memory.kind}: ${text}\n`)
  // A bounded run of an engine that keeps everything in memory would measure another thing.
  const names = options.contenders.filter((name) => memory.kind === "all" || name !== "memory")
  const contenders: EngineContender[] = []
  const machine = await startMachineContender(keys, Math.min(seconds, 0.5))
  try {
    for (const name of names) {
      say(`fill ${name}`)
      contenders.push(await startEngineContender(name, engineCase, seconds))
    }
    const reads: { [name in keyof ReadFigures]: number[] } = { oneReadNs: [], twoReadsNs: [] }
    const rates: (Rate & { readonly rounds: number[] })[] = []
    for (let round = 1; round <= rounds; round++) {
      const { oneReadNs, twoReadsNs } = await machine.reads(round)
      reads.oneReadNs.push(oneReadNs)
      reads.twoReadsNs.push(twoReadsNs)
      for (const workload of workloads.filter(({ name }) => options.workloads.includes(name))) {
        for (const contender of contenders) {
          let row = rates.find((each) => each.workload === workload.name && each.contender === contender.name)
          if (row === undefined) {
            row = { workload: workload.name, contender: contender.name, rounds: [] }
            rates.push(row)
          }
          const figure = await contender.rate(workload, round)
          if (figure !== undefined) row.rounds.push(figure)
          say(`round ${round}, ${workload.name} ${contender.name} ${figure?.toFixed(0) ?? "–"}`)
        }
      }
    }
    const amplification: Record<string, CaseFigures["amplification"][string]> = {}
    const pauses: Record<string, CaseFigures["pauses"][string]> = {}
    for (const contender of contenders) {
      say(`amplification and pauses ${contender.name}`)
      amplification[contender.name] = await contender.amplification()
      const figure = memory.kind === "bounded" ? await contender.pauses() : undefined
      if (figure !== undefined) pauses[contender.name] = figure
    }
    const loads = Object.fromEntries(contenders.map(({ name, load }) => [name, load]))
    const { kind, budgetBytes } = memory
    return { keys, memory: kind, budgetBytes, rates, machine: reads, loads, amplification, pauses }
  } finally {
    await machine.close()
    for (const contender of contenders) await contender.close()
  }
}

function parametersOf({ contenders, rounds, seconds, keyCounts, budgetBytes }: EngineOptions) {
  const versions: Readonly<Record<string, () => string>> = {
    lmdb: () => `${packageVersion("lmdb")}, noSync, transactions of ${SLICE} writes, memory not bounded`,
    "classic-level": () => `${packageVersion("classic-level")}, batches of ${SLICE} writes, no compression`,
    rocksdb: () => {
      const [first] = engineCases(keyCounts, budgetBytes)
      return `${programVersion("db_bench")}, ${rocksdbFlags(first!).join(" ")}`
    },
  }
  return {
    keyBytes: KEY_BYTES,
    valueBytes: VALUE_BYTES,
    rounds,
    secondsPerRound: seconds,
    budgetBytes,
    ...Object.fromEntries(contenders.flatMap((name) => (versions[name] ? [[name, versions[name]()]] : []))),
  }
}
