// Commands that read versions in a repository themselves: show, verify, diff, get, scan, history. What they do lies in
// files that are loaded when they run.

import { type Command, Option } from "commander"
import { type CommandContext, hexOption, partitionOption } from "../command-context.ts"
import { UsageError } from "../exit-codes.ts"
import { addScanOptions } from "../scan-options.ts"
import type { OfflineOptions } from "./offline-store.ts"

const VERSION_HELP = "the version: a number of the newest line, or TIMELINE/NUMBER"

export const repositoryHelp = "read the repository, without a daemon: file:DIR or s3://BUCKET/PREFIX"

/** Of all commands here. */
export interface OfflineCommandOptions extends OfflineOptions {
  readonly json: boolean
  readonly hex: boolean
  readonly partition?: number
}

/** Adds them to `snapshots`. */
export function addOfflineCommands(snapshots: Command, context: CommandContext): void {
  offlineCommand(snapshots, context, "show", "what a version is made of, and which versions share it")
    .argument("<version>", VERSION_HELP)
    .action(async (version: string, options: OfflineCommandOptions) => {
      await (await import("./show-version.ts")).showVersion(version, options, context.terminal)
    })

  offlineCommand(
    snapshots,
    context,
    "verify",
    "read everything that versions need and prove every hash of it",
  )
    .argument("[versions...]", `${VERSION_HELP}; default: all`)
    .action(async (versions: string[], options: OfflineCommandOptions) => {
      await (await import("./verify-store.ts")).verifyStore(versions, options, context)
    })

  offlineCommand(snapshots, context, "diff", "keys that differ between two versions, and what the two share")
    .argument("<before>", VERSION_HELP)
    .argument("<after>", "the other one")
    .addOption(hexOption("keys and values"))
    .action(async (before: string, after: string, options: OfflineCommandOptions) => {
      await (await import("./diff-versions.ts")).diffVersions(before, after, options, context.terminal)
    })

  offlineCommand(snapshots, context, "get", "print the value that a key has in a version, as `get` does")
    .argument("<version>", VERSION_HELP)
    .argument("<key>")
    .addOption(partitionOption())
    .addOption(hexOption("key and value"))
    .action(async (version: string, key: string, options: OfflineCommandOptions) => {
      await (await import("./read-version.ts")).getFromVersion(version, key, options, context)
    })

  const scan = offlineCommand(snapshots, context, "scan", "print the records of a version, as `scan` does")
  addScanOptions(scan)
    .argument("<version>", VERSION_HELP)
    .action(async (version: string, options: OfflineCommandOptions & OfflineScanOptions) => {
      await (await import("./read-version.ts")).scanVersion(version, options, context.terminal)
    })

  offlineCommand(
    snapshots,
    context,
    "history",
    "the value of a key through the versions of a line, oldest first",
  )
    .argument("<key>")
    .argument("[version]", `${VERSION_HELP}, at which the line ends; default: the newest`)
    .addOption(partitionOption())
    .addOption(hexOption("key and values"))
    .action(async (key: string, version: string | undefined, options: OfflineCommandOptions) => {
      await (await import("./key-history.ts")).showHistory(key, version, options, context.terminal)
    })
}

/** As of `scan`. */
export interface OfflineScanOptions {
  readonly prefix: string
  readonly start: string
  readonly end: string
  readonly keysOnly: boolean
  readonly limit: number
}

function offlineCommand(
  parent: Command,
  { terminal }: CommandContext,
  name: string,
  description: string,
): Command {
  const fromEnvironment = terminal.environment["VARVE_REPOSITORY"]
  const repository = new Option("--repository <url>", `${repositoryHelp} (or VARVE_REPOSITORY)`)
  return parent
    .command(name)
    .description(`${description}; reads the repository, without a daemon`)
    .addOption(fromEnvironment === undefined ? repository : repository.default(fromEnvironment))
    .addOption(new Option("--store <name>", "the store").default("default"))
    .addOption(new Option("--json", "print JSON").default(false))
    .hook("preAction", (command) => {
      if (command.getOptionValue("repository") === undefined) {
        throw new UsageError(
          "--repository is missing: file:DIR or s3://BUCKET/PREFIX (or set VARVE_REPOSITORY); " +
            "`varve describe` shows the URL of a daemon's",
        )
      }
    })
}
