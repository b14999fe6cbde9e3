// snapshots verify: proves versions of a store, names everything that is damaged, and says which versions are whole.

import { isEngineError } from "@varve/engines"
import { isOnLine, type Manifest, type VersionName, verifyVersions } from "@varve/engines/internal"
import { groupVersions, isComplete, isOnCurrentLine, withDamaged } from "../../control/store-versions.ts"
import type { CommandContext } from "../command-context.ts"
import { exitCodes } from "../exit-codes.ts"
import { toJson } from "../output.ts"
import { withProgress } from "../progress.ts"
import { writeLine } from "../terminal.ts"
import { bytesText, countText, secondsText } from "../values.ts"
import type { OfflineCommandOptions } from "./offline-commands.ts"
import { type OfflineStore, withOfflineStore } from "./offline-store.ts"

/** A version of one partition. */
type Part = VersionName & { readonly partition: number }

/** A version of the store that is to be proven: whole when it is complete and none of its parts is damaged. */
interface Subject {
  /** TIMELINE/NUMBER. */
  readonly name: string
  readonly parts: readonly Part[]
  readonly isComplete: boolean
}

/** Versions of the store by name, oldest first, or in the order of the call. */
interface Verdict {
  /** A restore can put them back: manifests, recipes and all bytes of their runs are what was written. */
  readonly whole: string[]
  /** With the partitions in which something is wrong. */
  readonly damaged: { readonly version: string; readonly partitions: number[] }[]
  /** What there is of them is whole, but a partition has none. */
  readonly incomplete: string[]
}

export async function verifyStore(
  versions: readonly string[],
  options: OfflineCommandOptions,
  { terminal, exitWith }: CommandContext,
): Promise<void> {
  const startedMs = performance.now()
  const report = await withProgress(terminal, "reading", () =>
    withOfflineStore(options, async (store) => {
      const subjects = subjectsOf(store, versions)
      const { manifests, unreadable, damage } = await manifestsOf(store, subjects)
      const verification = await verifyVersions(store.objectStore, store.repository, manifests)
      const { damagedVersions, ...figures } = verification
      const all = [...new Set([...store.damage, ...damage, ...verification.damage])].sort()
      const damaged = new Set([...unreadable, ...damagedVersions].map(keyOf))
      return { versions: manifests.length, ...figures, damage: all, ...verdictOn(subjects, damaged) }
    }),
  )
  const seconds = (performance.now() - startedMs) / 1000
  const { runs, chunks, packs, bytes, damage, whole, damaged, incomplete } = report
  if (damage.length > 0) exitWith(exitCodes.dataLoss.code)
  if (options.json) return await writeLine(terminal, toJson({ ...report, seconds }, false))
  const found = damage.length === 0 ? "nothing is damaged" : countText(damage.length, "damage")
  const count = whole.length + damaged.length + incomplete.length
  const newest = versions.length === 0 && whole.length > 0 ? `, the newest of them ${whole.at(-1)}` : ""
  const lines = [
    ...damage,
    `${found}: ${countText(report.versions, "version")} of partitions with ${countText(runs, "run")} of ` +
      `${countText(chunks, "chunk")} in ${countText(packs, "pack")}, ` +
      `${bytesText(bytes)} in ${secondsText(seconds)}, ${bytesText(bytes / seconds)} a second`,
    ...damaged.map(({ version, partitions }) => `damaged: ${version}, in ${partitionsText(partitions)}`),
    ...incomplete.map((version) => `incomplete: ${version}, which not every partition has`),
    `whole: ${whole.length} of ${countText(count, "version")}${newest}`,
  ]
  for (const line of lines) await writeLine(terminal, line)
}

/** What was asked for, or all there is, whether it can be read or not. @throws UsageError, EngineError */
function subjectsOf(store: OfflineStore, asked: readonly string[]): Subject[] {
  if (asked.length > 0) {
    return [...new Set(asked)].map((text) => {
      const parts = store.resolve(text).map((name, partition) => ({ ...name, partition }))
      return { name: nameOf(parts[0]!), parts, isComplete: true }
    })
  }
  const partitions = withDamaged(store.partitions, (partition) =>
    store.repository.damagedVersions(store.name, partition),
  )
  return groupVersions(partitions).map((version) => {
    const isCurrent = isOnCurrentLine(version, partitions)
    const own = version.parts.map(({ partition }) => ({ ...version, partition }))
    // Partitions that were restored by themselves stand on other timelines, with the same numbers.
    const others = partitions
      .filter(({ partition }) => isCurrent && own.every((part) => part.partition !== partition))
      .flatMap(({ partition, versions, line }) =>
        versions
          .filter((each) => each.version === version.version && isOnLine(each, line))
          .map((each) => ({ ...each, partition })),
      )
    return {
      name: nameOf(version),
      parts: [...own, ...others],
      isComplete: isComplete(version, partitions),
    }
  })
}

/** The manifests of all parts; each is read, once, and checked. */
async function manifestsOf(
  store: OfflineStore,
  subjects: readonly Subject[],
): Promise<{ manifests: Manifest[]; unreadable: Part[]; damage: string[] }> {
  const manifests: Manifest[] = []
  const unreadable: Part[] = []
  const damage: string[] = []
  const parts = new Map(subjects.flatMap((subject) => subject.parts.map((part) => [keyOf(part), part])))
  for (const part of parts.values()) {
    try {
      manifests.push(await store.manifest(part.partition, part))
    } catch (error) {
      if (!isEngineError(error, "DATA_LOSS") && !isEngineError(error, "FORMAT_NEWER")) throw error
      unreadable.push(part)
      damage.push(error.message)
    }
  }
  return { manifests, unreadable, damage }
}

/** @param damaged keys of parts */
function verdictOn(subjects: readonly Subject[], damaged: ReadonlySet<string>): Verdict {
  const verdict: Verdict = { whole: [], damaged: [], incomplete: [] }
  for (const { name, parts, isComplete } of subjects) {
    const partitions = parts.filter((part) => damaged.has(keyOf(part))).map(({ partition }) => partition)
    if (partitions.length > 0) verdict.damaged.push({ version: name, partitions })
    else if (isComplete) verdict.whole.push(name)
    else verdict.incomplete.push(name)
  }
  return verdict
}

function nameOf({ timeline, version }: VersionName): string {
  return `${timeline}/${version}`
}

function keyOf(part: Part): string {
  return `${part.partition}/${nameOf(part)}`
}

function partitionsText(partitions: readonly number[]): string {
  return `${partitions.length === 1 ? "partition" : "partitions"} ${partitions.join(", ")}`
}
