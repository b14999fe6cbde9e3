// Which records a scan prints: the same options for a daemon's store and for a version in a repository.

import type { Command } from "commander"
import { type HexOptions, hexOption } from "./command-context.ts"
import { wholeNumber } from "./values.ts"

export interface ScanOptions extends HexOptions {
  readonly prefix: string
  readonly start: string
  readonly end: string
  readonly keysOnly: boolean
  /** 0: all. */
  readonly limit: number
}

/** Adds the options to `command`, which is returned. */
export function addScanOptions(command: Command): Command {
  return command
    .addOption(hexOption("keys and values, given and printed,"))
    .option("--prefix <key>", "only keys that start with this", "")
    .option("--start <key>", "only keys from here on", "")
    .option("--end <key>", "only keys before this one", "")
    .option("--keys-only", "leave values out", false)
    .option(
      "--limit <count>",
      "at most this many records; 0: all",
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
      0,
    )
}
