// What a process has used so far, as the system counts it; Linux only.

import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"

export interface ProcessCost {
  readonly cpuSeconds: number
  readonly residentBytes: number
}

let ticksPerSecond: number | undefined

/** Of all threads of the process, user and system. */
export function processCost(pid: number): ProcessCost {
  ticksPerSecond ??= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }))
  // The name in parentheses may hold anything; the fields behind it are counted from 3 (proc(5)).
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ")
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(status)
  if (resident === null) throw new Error(`process ${pid} has no resident memory`)
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    residentBytes: Number(resident[1]) * 1024,
  }
}
