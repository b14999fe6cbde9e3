// snapshots get and snapshots scan: records of a version.

import type { CommandContext } from "../command-context.ts"
import { tellValue } from "../found-value.ts"
import { toJson } from "../output.ts"
import { type Terminal, write } from "../terminal.ts"
import { parseBytes, printable } from "../values.ts"
import type { OfflineCommandOptions, OfflineScanOptions } from "./offline-commands.ts"
import { withOfflineStore } from "./offline-store.ts"

export async function getFromVersion(
  version: string,
  key: string,
  options: OfflineCommandOptions,
  context: CommandContext,
): Promise<void> {
  const bytes = parseBytes(key, options.hex, "key")
  const value = await withOfflineStore(options, async (store) => {
    return (await store.openFor(version, bytes, options.partition)).get(bytes)
  })
  await tellValue(value, options, context)
}

export async function scanVersion(
  version: string,
  options: OfflineCommandOptions & OfflineScanOptions,
  terminal: Terminal,
): Promise<void> {
  const { json, hex, keysOnly, limit } = options
  const bound = (text: string, what: string): Uint8Array | undefined =>
    text === "" ? undefined : parseBytes(text, hex, what)
  const bounds = {
    prefix: bound(options.prefix, "prefix"),
    start: bound(options.start, "start"),
    end: bound(options.end, "end"),
  }
  const selection = Object.fromEntries(Object.entries(bounds).filter(([, key]) => key !== undefined))
  await withOfflineStore(options, async (store) => {
    const reader = await store.openVersion(version)
    let left = limit === 0 ? Number.POSITIVE_INFINITY : limit
    for await (const { partition, records } of reader.scan({ ...selection, keysOnly })) {
      const lines = records.slice(0, left).map(({ key, value }) => {
        if (json) return toJson(keysOnly ? { partition, key } : { partition, key, value }, hex)
        return keysOnly ? printable(key, hex) : `${printable(key, hex)}\t${printable(value, hex)}`
      })
      left -= lines.length
      await write(terminal, `${lines.join("\n")}\n`)
      if (left <= 0) break
    }
  })
}
