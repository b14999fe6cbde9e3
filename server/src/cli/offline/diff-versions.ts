// snapshots diff: the keys whose values differ between two versions, as they are found, and what the two share.

import { compareVersions, type KeyChange, sharedContent } from "@varve/engines/internal"
import { UsageError } from "../exit-codes.ts"
import { toJson } from "../output.ts"
import { type Terminal, write, writeLine } from "../terminal.ts"
import { beginning, bytesText, countText, printable } from "../values.ts"
import type { OfflineCommandOptions } from "./offline-commands.ts"
import { withOfflineStore } from "./offline-store.ts"

/** Of a value that people see. */
const VALUE_CHARACTERS = 40

export async function diffVersions(
  before: string,
  after: string,
  options: OfflineCommandOptions,
  terminal: Terminal,
): Promise<void> {
  await withOfflineStore(options, async (store) => {
    const [ours, theirs] = [await store.openVersion(before), await store.openVersion(after)]
    if (ours.partitions.length !== theirs.partitions.length) {
      throw new UsageError(
        `${before} has ${ours.partitions.length} partitions and ${after} has ${theirs.partitions.length}: partitions are ` +
          "compared one by one, and these hold different keys; compare what `varve snapshots scan` prints of each, sorted",
      )
    }
    const counts = { added: 0, removed: 0, changed: 0 }
    for (const [partition, reader] of ours.partitions.entries()) {
      const other = theirs.partitions[partition]!
      for await (const page of compareVersions(store.repository, store.shelf, reader, other)) {
        for (const change of page) counts[kindOf(change)]++
        const lines = page.map((change) => line(partition, change, options))
        await write(terminal, `${lines.join("\n")}\n`)
      }
    }
    const manifestsOf = ({ partitions }: typeof ours) => partitions.map(({ manifest }) => manifest)
    const shared = await sharedContent(store.repository, manifestsOf(ours), manifestsOf(theirs))
    if (options.json) return await writeLine(terminal, toJson({ ...counts, content: shared }, options.hex))
    const figures = ({ chunks, bytes }: typeof shared.shared): string =>
      `${countText(chunks, "chunk")}, ${bytesText(bytes)}`
    const { added, removed, changed } = counts
    await writeLine(terminal, `keys: ${added} added, ${removed} removed, ${changed} changed`)
    await writeLine(
      terminal,
      `shared: ${countText(shared.runsShared, "run")}, ${figures(shared.shared)}; ` +
        `only in ${before}: ${figures(shared.before)}; only in ${after}: ${figures(shared.after)}`,
    )
  })
}

function kindOf({ before, after }: KeyChange): "added" | "removed" | "changed" {
  if (before === undefined) return "added"
  return after === undefined ? "removed" : "changed"
}

function line(partition: number, change: KeyChange, { json, hex }: OfflineCommandOptions): string {
  const { key, before, after } = change
  if (json) return toJson({ change: kindOf(change), partition, key, before, after }, hex)
  const short = (value: Uint8Array): string => beginning(value, VALUE_CHARACTERS, hex)
  if (before === undefined) return `+ ${printable(key, hex)}\t${short(after ?? NOTHING)}`
  if (after === undefined) return `- ${printable(key, hex)}\t${short(before)}`
  return `~ ${printable(key, hex)}\t${short(before)} → ${short(after)}`
}

const NOTHING = new Uint8Array(0)
