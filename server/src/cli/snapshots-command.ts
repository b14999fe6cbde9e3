// snapshots and its list: the versions of a store. Commands that read versions lie in `offline/`, those that delete, pin
// and unpin one in version-commands.ts.

import type { SnapshotDescription } from "@varve/proto"
import type { Command } from "commander"
import {
  type ClientOptions,
  type CommandContext,
  clientCommand,
  type HexOptions,
  hexOption,
  withStub,
} from "./command-context.ts"
import { call } from "./daemon-connection.ts"
import { UsageError } from "./exit-codes.ts"
import { addOfflineCommands, repositoryHelp } from "./offline/offline-commands.ts"
import { table, toJson } from "./output.ts"
import { addPruneCommand } from "./prune-command.ts"
import { type Terminal, writeLine } from "./terminal.ts"
import { beginning, bytesText, collectPartitions, timeText } from "./values.ts"
import { addDeleteCommand, addPinCommands } from "./version-commands.ts"

interface ListOptions extends ClientOptions, HexOptions {
  readonly repository?: string
  readonly partition?: number[]
}

const TIMEOUT_SECONDS = 60
/** Of the metadata of a version in the table. */
const METADATA_CHARACTERS = 40

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

  addDeleteCommand(snapshots, context)
  addPruneCommand(snapshots, context)
  addPinCommands(snapshots, context)
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
