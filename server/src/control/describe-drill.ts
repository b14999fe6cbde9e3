// A restore drill in the messages of the contract.

import type { DrillDescription } from "@varve/proto"
import type { DrillReport } from "./drill-file.ts"

/** @param failReadiness the setting: whether a drill that fails makes the daemon not ready */
export function describeDrill(report: DrillReport, failReadiness: boolean): DrillDescription {
  const { version, timeline, endedMs, seconds, bytesRead, isPassed, damage, recovery } = report
  return {
    version: BigInt(version),
    timeline,
    endedMs: BigInt(Math.floor(endedMs)),
    seconds,
    bytesRead: BigInt(bytesRead),
    passed: isPassed,
    damage: [...damage],
    failsReadiness: failReadiness && !isPassed,
    firstAnswerSeconds: recovery?.firstAnswerSeconds ?? 0,
    completeSeconds: recovery?.completeSeconds ?? 0,
  }
}
