// Who holds a lock file: a process, told apart from every other one that ever had its number.
//
// On Linux a number is given again to another process sooner or later, and in a container it is often the same
// after each start. The time of the process's start, in ticks since the boot, and the identity of the boot make
// it unique. Elsewhere there is only the number: a lock of a dead process is then taken for held while another
// process has its number.

import { readFile } from "node:fs/promises"
import { hostname } from "node:os"
import { isMissing, systemCode } from "./storage-error.ts"

export interface ProcessIdentity {
  readonly pid: number
  /** Empty where the system does not tell. */
  readonly bootId: string
  /** Empty where the system does not tell. */
  readonly startTicks: string
}

/** Host and number of this process, for people. */
export function processName(): string {
  return `${hostname()}:${process.pid}`
}

/** The identity of this process. */
export async function thisProcess(): Promise<ProcessIdentity> {
  const seen = await processFromProc(process.pid)
  return { pid: process.pid, bootId: await currentBootId(), startTicks: seen?.startTicks ?? "" }
}

/** True when the process runs: this very one, not another that was given its number later. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  if (identity.bootId !== (await currentBootId())) return false
  if (identity.startTicks === "") return isNumberInUse(identity.pid)
  const seen = await processFromProc(identity.pid)
  // A system may hide the processes of other users from /proc; their numbers still are in use.
  if (seen === undefined) return isNumberInUse(identity.pid)
  return seen.startTicks === identity.startTicks && !seen.isDead
}

async function currentBootId(): Promise<string> {
  return (await readProc("/proc/sys/kernel/random/boot_id"))?.trim() ?? ""
}

/** Fields of `/proc/<pid>/stat` (proc(5)): `pid (name) state …`, the start time being the 22nd. */
async function processFromProc(pid: number): Promise<{ startTicks: string; isDead: boolean } | undefined> {
  const stat = await readProc(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The name may hold spaces and parentheses: what follows its last one is regular.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const state = fields[0] ?? ""
  return { startTicks: fields[22 - 3] ?? "", isDead: state === "Z" || state === "X" }
}

async function readProc(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "latin1")
  } catch (error) {
    // A process that ends while it is asked for answers ESRCH.
    if (isMissing(error) || systemCode(error) === "ESRCH") return undefined
    throw error
  }
}

function isNumberInUse(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it runs, under another user.
    return systemCode(error) !== "ESRCH"
  }
}
