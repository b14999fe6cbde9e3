// What versions cost, for every engine beside two baselines: a store that dumps everything for each version, and a
// repository that stores all runs anew. And how soon a state answers whose process was killed.

import { type Child, startChild } from "./child-contender.ts"
import { targetLines } from "./engine-tables.ts"
import { makeScratch } from "./scratch.ts"
import type { SnapshotWords } from "./snapshot-contender.ts"
import type { FullFigures, SnapshotCaseFigures, Subject } from "./snapshot-figures.ts"
import type { SnapshotOptions, SnapshotPart } from "./snapshot-options.ts"
import { measureRestores } from "./snapshot-restores.ts"
import { snapshotLines } from "./snapshot-tables.ts"
import { snapshotTargets } from "./snapshot-targets.ts"
import type { SuiteResult } from "./suite.ts"
import { KEY_BYTES, VALUE_BYTES } from "./workload.ts"

const contender = new URL("./snapshot-contender.ts", import.meta.url)

/** Small versions and operations under versions are measured at this size, or at the largest that is asked for. */
const USUAL_KEYS = 1_000_000

/** How often things are repeated. A baseline stores the whole state each time. */
const usual = { seals: 200, increments: 200, baselineIncrements: 5, latencySeconds: 4, restores: 5 } as const
const trial = { seals: 4, increments: 3, baselineIncrements: 1, latencySeconds: 0.2, restores: 1 } as const
type Repeats = { readonly [thing in keyof typeof usual]: number }

/** Runs the suite. */
export async function benchSnapshots(options: SnapshotOptions): Promise<SuiteResult> {
  const { keyCounts, engines, parts, isTrial } = options
  const repeats = isTrial ? trial : usual
  const usualKeys = keyCounts.includes(USUAL_KEYS) ? USUAL_KEYS : Math.max(...keyCounts)
  const cases: SnapshotCaseFigures[] = []
  for (const keys of keyCounts) {
    for (const subject of subjectsOf(engines, keys === usualKeys)) {
      const wanted = parts.filter((part) => isMeasured(part as SnapshotPart, subject, keys === usualKeys))
      if (wanted.length > 0) cases.push(await runCase(subject, keys, wanted, repeats))
    }
  }
  const measured = snapshotTargets(cases, usualKeys)
  // A few versions say whether it works, not how fast it is.
  const targets = isTrial ? measured.map((each) => ({ ...each, met: null })) : measured
  return {
    suite: "snapshots",
    parameters: { keyBytes: KEY_BYTES, valueBytes: VALUE_BYTES, ...repeats },
    lines: [...snapshotLines(cases), "", ...(isTrial ? ["trial: no verdict"] : targetLines(targets))],
    figures: { cases, targets },
  }
}

function subjectsOf(engines: readonly string[], isUsual: boolean): Subject[] {
  const subjects = engines.map((engine) => ({
    name: engine,
    engine,
    deduplication: true,
    isBaseline: engine === "memory",
  }))
  if (!isUsual || !engines.includes("hybrid-log")) return subjects
  const baseline = { engine: "hybrid-log", deduplication: false, isBaseline: true }
  return [...subjects, { name: "hybrid-log, no deduplication", ...baseline }]
}

function isMeasured(part: SnapshotPart, { deduplication }: Subject, isUsual: boolean): boolean {
  if (part === "increments") return isUsual
  if (!deduplication) return false
  return part !== "latency" || isUsual
}

async function runCase(
  subject: Subject,
  keys: number,
  parts: readonly string[],
  repeats: Repeats,
): Promise<SnapshotCaseFigures> {
  const { name, engine, deduplication, isBaseline } = subject
  const say = (text: string): boolean => process.stderr.write(`  ${keys} keys, ${name}: ${text}\n`)
  const scratch = makeScratch("snapshots")
  const words: SnapshotWords = {
    engine,
    directory: scratch.path,
    deduplication,
    keys,
    sealCount: isBaseline ? repeats.baselineIncrements : repeats.seals,
    incrementCount: isBaseline ? repeats.baselineIncrements : repeats.increments,
    latencySeconds: repeats.latencySeconds,
  }
  let child: Child | undefined
  try {
    say("fill")
    child = await startChild(name, contender, [JSON.stringify(words)])
    const full = child.prepared as FullFigures
    const measured: Record<string, unknown> = {}
    for (const part of parts.filter((each) => each !== "restores")) {
      say(part)
      measured[part] = await child.measure(part, 1)
    }
    if (parts.includes("restores")) {
      say("restores")
      // It ends in the middle of the question.
      await child.measure("crash", 1).catch(() => undefined)
      await child.close()
      child = undefined
      measured["restores"] = await measureRestores(subject, scratch.path, keys, repeats.restores)
    }
    return { subject, keys, full, ...measured }
  } finally {
    await child?.close()
    await scratch.remove()
  }
}
