// snapshots list, delete, prune, pin, unpin: the versions of a store. Those that read versions lie in `offline/`.

import type { SnapshotDescription } from "@varve/proto"
import type { Command } from "commander"
import {
  type ClientOptions,
  type CommandContext,
  clientCommand,
  type HexOptions,
  hexOption,
  versionArgument,
  withStub,
} from "./command-context.ts"
import { call } from "./daemon-connection.ts"
import { UsageError } from "./exit-codes.ts"
import { addOfflineCommands, repositoryHelp } from "./offline/offline-commands.ts"
import { table, toJson } from "./output.ts"
import { addPruneCommand } from "./prune-command.ts"
import { type Terminal, writeLine } from "./terminal.ts"
import { beginning, bytesText, collectPartitions, timeText } from "./values.ts"

interface ListOptions extends ClientOptions, HexOptions {
  readonly repository?: string
  readonly partition?: number[]
}

interface VersionOptions extends ClientOptions {
  readonly timeline: string
}

interface PinOptions extends VersionOptions {
  readonly name: string
}

const TIMEOUT_SECONDS = 60
const PIN_HELP = {
  pin: "the pin's name: a version may have several, and one without",
  unpin: "only the pin of this name; default: all",
} as const
/** Of the metadata of a version in the table. */
const METADATA_CHARACTERS = 40
const TIMELINE_HELP = "the version's timeline; needed when the number stands on several"

/** Adds `snapshots` with its commands. */
export function addSnapshotsCommand(program: Command, context: CommandContext): void {
  const snapshots = program
    .command("snapshots")
    .description("list, look into, verify, delete, prune, pin and unpin versions")
  const { terminal } = context

  clientCommand(snapshots, context, {
    name: "list",
    description: "list versions, oldest first",
    timeoutSeconds: TIMEOUT_SECONDS,
  })
    .option("--partition <numbers>", "only versions that these partitions have", collectPartitions)
    .option("--repository <url>", repositoryHelp)
    .addOption(hexOption("metadata"))
    .action((options: ListOptions, command: Command) => {
      if (options.repository !== undefined && command.getOptionValueSource("address") === "cli") {
        throw new UsageError("give --address or --repository, not both")
      }
      return list(options, terminal)
    })

  addOfflineCommands(snapshots, context)

  clientCommand(snapshots, context, {
    name: "delete",
    description: "delete a version; silent when done",
    timeoutSeconds: TIMEOUT_SECONDS,
  })
    .addArgument(versionArgument("<version>", "the version"))
    .option("--timeline <name>", TIMELINE_HELP, "")
    .action(async (version: number, options: VersionOptions) => {
      const request = { store: options.store, version: BigInt(version), timeline: options.timeline }
      await withStub(options, "writes", (stub) =>
        call(stub.deleteSnapshot.bind(stub), request, options.timeout),
      )
      if (options.json) await writeLine(terminal, toJson({}, false))
    })

  addPruneCommand(snapshots, context)

  for (const [name, description] of [
    ["pin", "protect a version from removal; silent when done"],
    ["unpin", "take the protection off; silent when done"],
  ] as const) {
    clientCommand(snapshots, context, { name, description, timeoutSeconds: TIMEOUT_SECONDS })
      .addArgument(versionArgument("<version>", "the version"))
      .option("--timeline <name>", TIMELINE_HELP, "")
      .option("--name <name>", PIN_HELP[name], "")
      .action(async (version: number, options: PinOptions) => {
        const { store, timeline } = options
        const request = {
          store,
          version: BigInt(version),
          timeline,
          pinned: name === "pin",
          name: options.name,
        }
        await withStub(options, "writes", (stub) =>
          call(stub.pinSnapshot.bind(stub), request, options.timeout),
        )
        if (options.json) await writeLine(terminal, toJson({}, false))
      })
  }
}

async function list(options: ListOptions, terminal: Terminal): Promise<void> {
  const snapshots = await listed(options, terminal)
  if (options.json) return await writeLine(terminal, toJson(snapshots, options.hex))
  if (snapshots.length === 0) return await writeLine(terminal, `store ${options.store} has no versions yet`)
  const head = [
    ...["version", "timeline", "parent", "time", "records"],
    ...["size", "stored", "partitions", "metadata", "remarks"],
  ]
  const rows = snapshots.map((snapshot) => rowOf(snapshot, options.hex))
  await writeLine(terminal, table(head, rows))
}

async function listed(options: ListOptions, terminal: Terminal): Promise<SnapshotDescription[]> {
  const { repository, store, partition = [], timeout } = options
  if (repository !== undefined) {
    const { listOffline } = await import("./offline/list-versions.ts")
    const { snapshots, damage } = await listOffline({ repository, store }, partition)
    for (const line of damage) terminal.stderr.write(`varve: ${line}\n`)
    return snapshots
  }
  const request = { store, partitions: partition }
  const { snapshots } = await withStub(options, "reads", (stub) =>
    call(stub.listSnapshots.bind(stub), request, timeout),
  )
  return snapshots
}

function rowOf(snapshot: SnapshotDescription, hex: boolean): (string | bigint)[] {
  const remarks = [
    snapshot.currentLine ? "current line" : "",
    snapshot.complete ? "" : "incomplete",
    pinText(snapshot),
  ]
  return [
    snapshot.version,
    snapshot.timeline,
    parentText(snapshot),
    timeText(snapshot.createdMs),
    snapshot.records,
    bytesText(snapshot.bytes),
    bytesText(snapshot.bytesNew),
    snapshot.partitions.join(","),
    metadataText(snapshot, hex),
    remarks.filter((remark) => remark !== "").join(", "),
  ]
}

function pinText({ pinned, pinNames }: SnapshotDescription): string {
  if (!pinned) return ""
  return pinNames.length === 0 ? "pinned" : `pinned as ${pinNames.join(", ")}`
}

/** A daemon leaves the metadata of older versions out when its answer has no room for it. */
function metadataText({ metadata, metadataBytes }: SnapshotDescription, hex: boolean): string {
  if (metadata.length === 0 && metadataBytes > 0) return `(${bytesText(metadataBytes)}, not listed)`
  return beginning(metadata, METADATA_CHARACTERS, hex)
}

function parentText({ parentVersion, parentTimeline, timeline }: SnapshotDescription): string {
  if (parentVersion === 0n) return "-"
  return parentTimeline === timeline ? String(parentVersion) : `${parentVersion} of ${parentTimeline}`
}
