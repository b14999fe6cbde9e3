// snapshots history: one key through the versions of a line.

import type { VersionName, VersionSummary } from "@varve/engines"
import { isOnLine, KeyHistory } from "@varve/engines/internal"
import { table, toJson } from "../output.ts"
import { type Terminal, writeLine } from "../terminal.ts"
import { beginning, parseBytes, timeText } from "../values.ts"
import type { OfflineCommandOptions } from "./offline-commands.ts"
import { type OfflineStore, partitionOf, withOfflineStore } from "./offline-store.ts"

/** Of a value that people see. */
const VALUE_CHARACTERS = 60

export async function showHistory(
  text: string,
  end: string | undefined,
  options: OfflineCommandOptions,
  terminal: Terminal,
): Promise<void> {
  const key = parseBytes(text, options.hex, "key")
  await withOfflineStore(options, async (store) => {
    const { line, versions } = versionsWithKey(store, key, options.partition)
    const through =
      end === undefined ? line : (await store.openFor(end, key, options.partition)).manifest.line
    const onLine = versions.filter((each) => isOnLine(each, through)).sort((a, b) => a.version - b.version)
    const history = new KeyHistory(store.repository, key)
    const rows: string[][] = []
    let before: Uint8Array | undefined
    for (const { version, timeline, createdMs, partition } of onLine) {
      const value = await history.valueIn(await store.manifest(partition, { timeline, version }))
      const change = changeOf(before, value)
      before = value
      const found = value !== undefined
      if (options.json) {
        const entry = { version, timeline, createdMs, change, found, ...(found ? { value } : {}) }
        await writeLine(terminal, toJson(entry, options.hex))
      } else {
        const shown = found ? beginning(value, VALUE_CHARACTERS, options.hex) : ""
        rows.push([`${version}`, timeline, timeText(BigInt(Math.floor(createdMs))), change, shown])
      }
    }
    if (!options.json) await writeLine(terminal, table(["version", "timeline", "time", "", "value"], rows))
  })
}

/** The versions of the partition that has the key, and those of the times when another one had it. */
function versionsWithKey(
  { partitions }: OfflineStore,
  key: Uint8Array,
  given: number | undefined,
): { line: readonly VersionName[]; versions: (VersionSummary & { readonly partition: number })[] } {
  const count = partitions.filter(({ isFormer }) => isFormer !== true).length
  const present = partitions[partitionOf(key, count, given)]!
  const versions = present.versions
    .filter(({ partitionCount }) => partitionCount === count)
    .map((each) => ({ ...each, partition: present.partition }))
  // Whatever their number was, there was a partition 0.
  const earlier = partitions[0]!.versions
    .filter(({ partitionCount }) => partitionCount !== count)
    .map((each) => ({ ...each, partition: partitionOf(key, each.partitionCount) }))
  return { line: present.line, versions: [...earlier, ...versions] }
}

function changeOf(before: Uint8Array | undefined, after: Uint8Array | undefined): string {
  if (after === undefined) return before === undefined ? "absent" : "deleted"
  if (before === undefined) return "set"
  return Buffer.compare(before, after) === 0 ? "same" : "changed"
}
