// snapshots history: one key through the versions of a line.

import { isOnLine, KeyHistory } from "@varve/engines/internal"
import { table, toJson } from "../output.ts"
import { type Terminal, writeLine } from "../terminal.ts"
import { beginning, parseBytes, timeText } from "../values.ts"
import type { OfflineCommandOptions } from "./offline-commands.ts"
import { withOfflineStore } from "./offline-store.ts"

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
    const partition = store.partitionOf(key, options.partition)
    const { versions, line } = store.partitions[partition]!
    const last = end === undefined ? undefined : store.resolve(end)[partition]!
    const through = last === undefined ? line : (await store.manifest(partition, last)).line
    const onLine = versions.filter((each) => isOnLine(each, through)).sort((a, b) => a.version - b.version)
    const history = new KeyHistory(store.repository, key)
    const rows: string[][] = []
    let before: Uint8Array | undefined
    for (const { version, timeline, createdMs } of onLine) {
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

function changeOf(before: Uint8Array | undefined, after: Uint8Array | undefined): string {
  if (after === undefined) return before === undefined ? "absent" : "deleted"
  if (before === undefined) return "set"
  return Buffer.compare(before, after) === 0 ? "same" : "changed"
}
