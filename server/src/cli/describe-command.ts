// describe: what a daemon serves.

import type { DescribeResponse, DrillDescription, PartitionDescription, StoreDescription } from "@varve/proto"
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
import { table, toJson } from "./output.ts"
import { writeLine } from "./terminal.ts"
import { bytesText, timeText } from "./values.ts"

const TIMEOUT_SECONDS = 10

/** Adds `describe`. */
export function addDescribeCommand(program: Command, context: CommandContext): void {
  const command = clientCommand(program, context, {
    name: "describe",
    description: "show the daemon, its stores and their partitions",
    timeoutSeconds: TIMEOUT_SECONDS,
  })
  command.addOption(hexOption("metadata in JSON"))
  command.action(async (options: ClientOptions & HexOptions) => {
    // Unlike other commands, this one is about every store unless one is named.
    const store = command.getOptionValueSource("store") === "default" ? "" : options.store
    const response = await withStub(options, "reads", (stub) =>
      call(stub.describe.bind(stub), { store }, options.timeout),
    )
    const text = options.json ? toJson(response, options.hex) : describe(response)
    await writeLine(context.terminal, text)
  })
}

function describe({ node, stores }: DescribeResponse): string {
  const lines =
    node === undefined
      ? []
      : [`varve ${node.softwareVersion}, up since ${timeText(node.startedMs)}, ${node.instance}`]
  return [...lines, ...stores.map(describeStore)].join("\n\n")
}

/** What is on this disk of the state, when it is not all, and what cannot be had of it. */
function diskText(statistics: PartitionDescription["statistics"]): string {
  const { bytesTotal = 0n, bytesLocal = 0n, bytesDamaged = 0n } = statistics ?? {}
  const here = bytesLocal === bytesTotal ? "" : `${bytesText(bytesLocal)} of `
  const damaged = bytesDamaged === 0n ? "" : `, ${bytesText(bytesDamaged)} damaged`
  return here + bytesText(bytesTotal) + damaged
}

/** What the last restore drill has found. */
function drillText({ passed, version, timeline, endedMs, damage, failsReadiness }: DrillDescription): string {
  const drill = `restore drill of ${timeText(endedMs)}`
  const name = `version ${version} of timeline ${timeline}`
  if (passed) return `${drill}: ${name} can be restored`
  const [first = "no more is known"] = damage
  const more = damage.length > 1 ? `, and ${damage.length - 1} more (\`varve drill\` shows them)` : ""
  const remark = failsReadiness ? "; the daemon is not ready because of it" : ""
  return `${drill} FAILED: ${name} cannot be restored: ${first}${more}${remark}`
}

function describeStore(store: StoreDescription): string {
  const settings = Object.entries(store.settings).map(([name, value]) => `${name}=${value}`)
  const head = [
    `store ${store.name}: ${store.engine}, durability ${store.durability}, partitioning ${store.partitioning}, ` +
      `values up to ${bytesText(store.valueBytesMax)}`,
    `versions in ${store.repository}`,
    ...(settings.length === 0 ? [] : [`settings: ${settings.join(", ")}`]),
    ...(store.lastDrill === undefined ? [] : [drillText(store.lastDrill)]),
  ]
  const columns = [
    ...["partition", "slots", "address", "start", "version", "records"],
    ...["record memory", "index memory", "memory in all", "disk"],
  ]
  const rows = store.partitions.map((partition) => {
    const { statistics } = partition
    const recordBytes = statistics?.memoryBytes ?? 0n
    const indexBytes = statistics?.indexBytes ?? 0n
    return [
      `${partition.partition} of ${store.partitionCount}`,
      `${partition.slotFirst}-${partition.slotLast}`,
      partition.address,
      partition.fenced ? "fenced" : partition.recovery,
      partition.version === 0n ? "-" : `${partition.version} of ${partition.timeline}`,
      statistics?.records ?? 0n,
      bytesText(recordBytes),
      bytesText(indexBytes),
      bytesText(recordBytes + indexBytes),
      diskText(statistics),
    ]
  })
  return [...head, table(columns, rows)].join("\n")
}
