// `wire --profile DIR`: where the processor time of a full load goes, in the client and in the daemon. Both run under
// `node --cpu-prof`, which slows them; the rates are printed to tell by how much.

import { mkdirSync } from "node:fs"
import { join, resolve } from "node:path"
import { busiestThread, monotonicUs, type ThreadTime } from "./cpu-profile.ts"
import type { SuiteResult } from "./suite.ts"
import { table } from "./table.ts"
import { startWireContender, startWireDaemon, type WireContender } from "./wire-group.ts"
import type { WireOptions } from "./wire-options.ts"
import { KEY_BYTES, VALUE_BYTES } from "./workload.ts"

const KEYS = 100_000
const CALLERS = 512
const ENTRIES = 10
const INTERVAL_US = 200

interface Window {
  readonly workload: string
  readonly rate: number
  readonly fromUs: number
  readonly toUs: number
}

/** Profiles of the calls of one client, written to `client` and `daemon` in `directory`; the first entries of each. */
export async function profileWire(directory: string, { rounds, seconds }: WireOptions): Promise<SuiteResult> {
  const [clientPlace, daemonPlace] = ["client", "daemon"].map((side) => resolve(join(directory, side)))
  const flagsOf = (place: string): string[] => {
    mkdirSync(place, { recursive: true })
    return ["--cpu-prof", `--cpu-prof-dir=${place}`, `--cpu-prof-interval=${INTERVAL_US}`]
  }
  const { server, stop } = await startWireDaemon(() => "127.0.0.1:0", flagsOf(daemonPlace!))
  const windows: Window[] = []
  try {
    const flags = flagsOf(clientPlace!)
    const contender = await startWireContender("varve", server, KEYS, VALUE_BYTES, flags)
    try {
      // Compiled and warm before what counts.
      for (const workload of ["set", "get", "mixed"]) await load(contender, workload, 0, seconds)
      for (const workload of ["set", "get", "mixed"]) {
        windows.push(await load(contender, workload, 1, rounds * seconds))
      }
    } finally {
      await contender.close()
    }
  } finally {
    await stop()
  }
  const figures = windows.map((window) => ({
    workload: window.workload,
    rate: window.rate,
    client: busiestThread(clientPlace!, window.fromUs, window.toUs),
    daemon: busiestThread(daemonPlace!, window.fromUs, window.toUs),
  }))
  return {
    suite: "wire",
    parameters: { keyBytes: KEY_BYTES, valueBytes: VALUE_BYTES, callers: CALLERS, profiles: directory },
    lines: figures.flatMap(({ workload, rate, client, daemon }) => [
      "",
      `-- ${workload}, ${Math.round(rate / 1000)} 1000 ops/s under the profiler`,
      ...threadLines("client", client),
      ...threadLines("daemon", daemon),
    ]),
    figures,
  }
}

async function load(
  contender: WireContender,
  workload: string,
  seed: number,
  seconds: number,
): Promise<Window> {
  process.stderr.write(`  ${workload}\n`)
  const fromUs = monotonicUs()
  const round = await contender.round({ workload, callers: CALLERS, seconds, rate: 0 }, seed)
  return { workload, rate: round.operations / round.seconds, fromUs, toUs: monotonicUs() }
}

function threadLines(side: string, { busySeconds, entries }: ThreadTime): string[] {
  const rows = entries.slice(0, ENTRIES).map(({ place, share }) => [place, `${(100 * share).toFixed(1)} %`])
  return ["", ...table([`${side}: ${busySeconds.toFixed(1)} s busy`, "self"], rows, 1)]
}
