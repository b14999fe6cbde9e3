// snapshots verify: proves versions of a store, and names everything that is damaged.

import { isEngineError } from "@varve/engines"
import { type Manifest, verifyVersions } from "@varve/engines/internal"
import type { CommandContext } from "../command-context.ts"
import { exitCodes } from "../exit-codes.ts"
import { toJson } from "../output.ts"
import { withProgress } from "../progress.ts"
import { writeLine } from "../terminal.ts"
import { bytesText, secondsText } from "../values.ts"
import type { OfflineCommandOptions } from "./offline-commands.ts"
import { type OfflineStore, withOfflineStore } from "./offline-store.ts"

export async function verifyStore(
  versions: readonly string[],
  options: OfflineCommandOptions,
  { terminal, exitWith }: CommandContext,
): Promise<void> {
  const startedMs = performance.now()
  const report = await withProgress(terminal, "reading", () =>
    withOfflineStore(options, async (store) => {
      const { manifests, damage } = await manifestsOf(store, versions)
      const verification = await verifyVersions(store.objectStore, store.repository, manifests)
      const all = [...new Set([...store.damage, ...damage, ...verification.damage])].sort()
      return { versions: manifests.length, ...verification, damage: all }
    }),
  )
  const seconds = (performance.now() - startedMs) / 1000
  if (report.damage.length > 0) exitWith(exitCodes.dataLoss.code)
  if (options.json) return await writeLine(terminal, toJson({ ...report, seconds }, false))
  for (const line of report.damage) await writeLine(terminal, line)
  const { runs, chunks, packs, bytes, damage } = report
  const found =
    damage.length === 0
      ? "nothing is damaged"
      : `${damage.length} ${damage.length === 1 ? "damage" : "damages"}`
  await writeLine(
    terminal,
    `${found}: ${report.versions} versions of partitions with ${runs} runs of ${chunks} chunks in ${packs} packs, ` +
      `${bytesText(bytes)} in ${secondsText(seconds)}, ${bytesText(bytes / seconds)} a second`,
  )
}

/** The manifests of these versions, or of all; each is read and checked. */
async function manifestsOf(
  store: OfflineStore,
  versions: readonly string[],
): Promise<{ manifests: Manifest[]; damage: string[] }> {
  const manifests: Manifest[] = []
  const damage: string[] = []
  for (const text of new Set(versions)) manifests.push(...(await store.manifests(text)))
  if (versions.length > 0) return { manifests, damage }
  for (const { partition, versions: listed } of store.partitions) {
    for (const { timeline, version, epoch } of listed) {
      try {
        manifests.push(
          await store.repository.readManifest(store.name, partition, { timeline, version, epoch }),
        )
      } catch (error) {
        if (!isEngineError(error, "DATA_LOSS")) throw error
        damage.push(error.message)
      }
    }
  }
  return { manifests, damage }
}
