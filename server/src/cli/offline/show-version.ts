// snapshots show: what a version is made of.

import { eachAtOnce, type Manifest, type StoredRun } from "@varve/engines/internal"
import { VarveError } from "@varve/proto"
import { groupVersions } from "../../control/store-versions.ts"
import { table, toJson } from "../output.ts"
import { type Terminal, writeLine } from "../terminal.ts"
import { beginning, bytesText, timeText } from "../values.ts"
import { describeOffline } from "./list-versions.ts"
import type { OfflineCommandOptions } from "./offline-commands.ts"
import { type OfflineStore, withOfflineStore } from "./offline-store.ts"

/** Manifests that are read at the same time. */
const MANIFESTS_AT_ONCE = 16
/** Of metadata, and of the names of versions that share a run, in a table. */
const CHARACTERS = 40

interface ShownRun extends Omit<StoredRun, "recipe"> {
  readonly chunks: number
  /** Other versions of the partition that list it, oldest first. */
  readonly sharedWith: readonly string[]
}

interface ShownPartition {
  readonly partition: number
  readonly manifest: Manifest
  readonly runs: readonly ShownRun[]
}

export async function showVersion(
  text: string,
  options: OfflineCommandOptions,
  terminal: Terminal,
): Promise<void> {
  await withOfflineStore(options, async (store) => {
    const manifests = await store.manifests(text)
    const partitions: ShownPartition[] = []
    for (const manifest of manifests) partitions.push(await shown(store, manifest))
    const [{ timeline, version }] = manifests as [Manifest]
    const group = groupVersions(store.partitions).find(
      (each) => each.timeline === timeline && each.version === version,
    )
    if (group === undefined) throw new VarveError("SNAPSHOT_NOT_FOUND", `version ${text} is gone`)
    const description = describeOffline(store, group)
    if (options.json) {
      const parts = partitions.map(({ partition, manifest, runs }) => {
        const { timeline, version, epoch, engine, line, createdMs, recordCount } = manifest
        return { partition, timeline, version, epoch, engine, line, createdMs, recordCount, runs }
      })
      return await writeLine(terminal, toJson({ ...description, parts }, false))
    }
    const { createdMs, engine, metadata, complete, currentLine, pinned } = description
    const remarks = [currentLine ? "current line" : "", complete ? "" : "incomplete", pinned ? "pinned" : ""]
    await writeLine(terminal, `version ${version} of timeline ${timeline}, store ${store.name}: ${engine}`)
    await writeLine(terminal, `sealed ${timeText(createdMs)}${suffix(remarks)}`)
    await writeLine(terminal, `metadata ${JSON.stringify(beginning(metadata, CHARACTERS, false))}`)
    await writeLine(terminal, table(partitionHead, partitions.map(partitionRow)))
    await writeLine(terminal, table(runHead, partitions.flatMap(runRows)))
  })
}

const partitionHead = ["partition", "version", "records", "runs", "size", "stored for it", "line"]
const runHead = ["partition", "run", "id", "records", "tombstones", "size", "chunks", "also in versions"]

function partitionRow({ partition, manifest }: ShownPartition): (string | number)[] {
  const { runs, recordCount, bytesNew, timeline, version, line } = manifest
  const bytes = runs.reduce((sum, run) => sum + run.bytes, 0)
  const through = line.map((each) => `${each.timeline}/${each.version}`).join(" → ")
  const name = `${timeline}/${version}`
  return [partition, name, recordCount, runs.length, bytesText(bytes), bytesText(bytesNew), through]
}

function runRows({ partition, runs }: ShownPartition): (string | number)[][] {
  return runs.map(({ level, run, version, id, recordCount, tombstoneCount, bytes, chunks, sharedWith }) => {
    const shared = beginning(Buffer.from(sharedWith.join(", ")), CHARACTERS, false)
    const name = `L${level}.${run}.${version}`
    return [partition, name, id.slice(0, 16), recordCount, tombstoneCount, bytesText(bytes), chunks, shared]
  })
}

async function shown(store: OfflineStore, manifest: Manifest): Promise<ShownPartition> {
  const { partition, timeline, version } = manifest
  const versions = store.partitions[partition]!.versions.filter(
    (each) => each.timeline !== timeline || each.version !== version,
  )
  const sharedWith = new Map<string, string[]>(manifest.runs.map(({ id }) => [id, []]))
  const others = await eachAtOnce(versions, MANIFESTS_AT_ONCE, (name) => store.manifest(partition, name))
  for (const other of others) {
    const name = other.timeline === timeline ? `${other.version}` : `${other.timeline}/${other.version}`
    for (const { id } of other.runs) sharedWith.get(id)?.push(name)
  }
  const chunks = await store.repository.storedRuns.find(manifest.runs)
  const runs = manifest.runs.map(({ recipe: _, ...figures }, i) => ({
    ...figures,
    chunks: chunks[i]!.count,
    sharedWith: sharedWith.get(figures.id) ?? [],
  }))
  return { partition, manifest, runs }
}

function suffix(remarks: readonly string[]): string {
  const text = remarks.filter((remark) => remark !== "").join(", ")
  return text === "" ? "" : `; ${text}`
}
