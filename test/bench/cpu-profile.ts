// A profile as `node --cpu-prof` writes it, read for what a thread did in some time. Its clock is the system's monotonic
// one, that of `process.hrtime`: times of one process can be looked up in the profile of another.

import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"

/** The file, as far as it is read here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      /** From 0; -1: none. */
      readonly lineNumber: number
    }
  }[]
  /** Microseconds of the monotonic clock. */
  readonly startTime: number
  /** Nodes, by id, that were seen running. */
  readonly samples: readonly number[]
  /** Microseconds from one sample to the next, the first of them from `startTime`. */
  readonly timeDeltas: readonly number[]
}

/** Time in one function itself, without those it calls. */
export interface ProfileEntry {
  /** Its name and place: `decode proto/dist/record-batch.js:45`. */
  readonly place: string
  /** Of the time in which the thread did anything. */
  readonly share: number
}

export interface ThreadTime {
  readonly busySeconds: number
  /** The longest first. */
  readonly entries: readonly ProfileEntry[]
}

/** Microseconds of the clock that profiles have. */
export function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/** What the busiest thread whose profile is in `directory` did from `fromUs` to `toUs`. @throws Error when there is none */
export function busiestThread(directory: string, fromUs: number, toUs: number): ThreadTime {
  const threads = readdirSync(directory)
    .filter((name) => name.endsWith(".cpuprofile"))
    .map((name) => JSON.parse(readFileSync(join(directory, name), "utf8")) as CpuProfile)
    .map((profile) => threadTime(profile, fromUs, toUs))
    .toSorted((a, b) => b.busySeconds - a.busySeconds)
  if (threads[0] === undefined) throw new Error(`no profile in ${directory}`)
  return threads[0]
}

export function threadTime(profile: CpuProfile, fromUs: number, toUs: number): ThreadTime {
  const placeOf = new Map(profile.nodes.map(({ id, callFrame }) => [id, placeOfFrame(callFrame)]))
  const times = new Map<string, number>()
  let busyUs = 0
  let atUs = profile.startTime
  for (const [index, id] of profile.samples.entries()) {
    const deltaUs = profile.timeDeltas[index]!
    atUs += deltaUs
    const place = placeOf.get(id)!
    if (place === "(idle)" || atUs < fromUs || atUs > toUs) continue
    busyUs += deltaUs
    times.set(place, (times.get(place) ?? 0) + deltaUs)
  }
  const entries = [...times].map(([place, us]) => ({ place, share: us / busyUs }))
  return { busySeconds: busyUs / 1e6, entries: entries.toSorted((a, b) => b.share - a.share) }
}

function placeOfFrame({ functionName, url, lineNumber }: CpuProfile["nodes"][number]["callFrame"]): string {
  const name = functionName === "" ? "(anonymous)" : functionName
  if (url === "") return name
  const path = url.startsWith("file:") ? relative(process.cwd(), fileURLToPath(url)) : url
  const file = path.replace(/^.*\/node_modules\//, "")
  const words = file.split("/")
  const start = words.lastIndexOf("dist")
  return `${name} ${start > 0 ? words.slice(start - 1).join("/") : file}:${lineNumber + 1}`
}
