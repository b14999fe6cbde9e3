// The contenders of one case, each filled and waiting, behind one face: children of our own and db_bench.

import { engineNames } from "@varve/engines"
import { type Child, startChild } from "./child-contender.ts"
import type { EngineCase, Workload } from "./engine-cases.ts"
import type { EngineWords } from "./engine-contenders.ts"
import type { AmplificationFigures, LoadFigures, PauseFigures } from "./engine-figures.ts"
import type { ReadRound } from "./machine-contenders.ts"
import { startRocksdb } from "./rocksdb.ts"
import { makeScratch } from "./scratch.ts"

export interface EngineContender {
  readonly name: string
  readonly load: LoadFigures
  /** Operations per second, or undefined when the contender has no such workload. */
  rate(workload: Workload, round: number): Promise<number | undefined>
  amplification(): Promise<AmplificationFigures>
  /** undefined: no engine of ours. */
  pauses(): Promise<PauseFigures | undefined>
  close(): Promise<void>
}

export interface MachineContender {
  reads(round: number): Promise<ReadRound>
  close(): Promise<void>
}

const engineModule = new URL("./engine-contenders.ts", import.meta.url)
const machineModule = new URL("./machine-contenders.ts", import.meta.url)

/** Starts and fills `name` for the case. */
export async function startEngineContender(
  name: string,
  engineCase: EngineCase,
  seconds: number,
): Promise<EngineContender> {
  if (name === "rocksdb") {
    const rocksdb = await startRocksdb(engineCase, seconds)
    return { name, ...rocksdb, pauses: async () => undefined }
  }
  const scratch = makeScratch(name)
  const words: EngineWords = { name, directory: scratch.path, seconds, ...engineCase }
  let child: Child
  try {
    child = await startChild(name, engineModule, [JSON.stringify(words)])
  } catch (error) {
    await scratch.remove()
    throw error
  }
  const isOurs = (engineNames as readonly string[]).includes(name)
  return {
    name,
    load: child.prepared as LoadFigures,
    rate: async (workload, round) => (await child.measure(workload.name, round)) as number,
    amplification: async () => (await child.measure("amplification", 0)) as AmplificationFigures,
    pauses: async () => (isOurs ? ((await child.measure("pauses", 0)) as PauseFigures) : undefined),
    async close() {
      try {
        await child.close()
      } finally {
        await scratch.remove()
      }
    },
  }
}

/** The machine's own random reads over as many records. */
export async function startMachineContender(keys: number, seconds: number): Promise<MachineContender> {
  const child = await startChild("machine", machineModule, [String(keys), String(seconds)])
  return {
    reads: async (round) => (await child.measure("reads", round)) as ReadRound,
    close: () => child.close(),
  }
}
