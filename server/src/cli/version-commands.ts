// snapshots delete, pin and unpin: commands about one version. Each looks the version up in the list first, so that it
// names the timeline to the daemon, and can tell what was done to which version.

import type { SnapshotDescription, StateBackendClient } from "@varve/proto"
import type { Command } from "commander"
import {
  type ClientOptions,
  type CommandContext,
  clientCommand,
  versionArgument,
  withStub,
} from "./command-context.ts"
import { call } from "./daemon-connection.ts"
import { toJson } from "./output.ts"
import { writeLine } from "./terminal.ts"

interface VersionOptions extends ClientOptions {
  readonly timeline: string
}

interface PinOptions extends VersionOptions {
  readonly name: string
}

const TIMEOUT_SECONDS = 60
const PIN_HELP = {
  pin: "the pin's name: a version may have several, and one without",
  unpin: "only the pin of this name; default: all pins of the version",
} as const

/** Adds `delete` to `snapshots`. */
export function addDeleteCommand(snapshots: Command, context: CommandContext): void {
  versionCommand(snapshots, context, "delete", "delete a version").action(
    async (number: number, options: VersionOptions) => {
      const { store, json, timeout } = options
      const named = await withStub(options, "writes", async (stub) => {
        const { version, timeline } = await versionNamed(stub, number, options)
        await call(stub.deleteSnapshot.bind(stub), { store, version, timeline }, timeout)
        return { version, timeline }
      })
      const text = `deleted version ${named.version} of timeline ${named.timeline}`
      await writeLine(context.terminal, json ? toJson(named, false) : text)
    },
  )
}

/** Adds `pin` and `unpin` to `snapshots`. */
export function addPinCommands(snapshots: Command, context: CommandContext): void {
  for (const [command, description] of [
    ["pin", "protect a version from removal"],
    ["unpin", "take the protection off: all pins, or the one that is named"],
  ] as const) {
    versionCommand(snapshots, context, command, description)
      .option("--name <name>", PIN_HELP[command], "")
      .action(async (number: number, options: PinOptions) => {
        const { store, name, json, timeout } = options
        const named = await withStub(options, "writes", async (stub) => {
          const found = await versionNamed(stub, number, options)
          const { version, timeline } = found
          const request = { store, version, timeline, pinned: command === "pin", name }
          await call(stub.pinSnapshot.bind(stub), request, timeout)
          return found
        })
        const { version, timeline } = named
        const text = command === "pin" ? pinnedText(name) : unpinnedText(named, name)
        await writeLine(
          context.terminal,
          json ? toJson({ version, timeline }, false) : `${text} version ${version} of timeline ${timeline}`,
        )
      })
  }
}

function versionCommand(
  parent: Command,
  context: CommandContext,
  name: string,
  description: string,
): Command {
  return clientCommand(parent, context, { name, description, timeoutSeconds: TIMEOUT_SECONDS })
    .addArgument(versionArgument("<version>", "the version"))
    .option("--timeline <name>", "the version's timeline; needed when the number stands on several", "")
}

type Named = Pick<SnapshotDescription, "version" | "timeline" | "pinned" | "pinNames">

/** The listed version when there is one of this name; otherwise the name alone: the daemon says what is wrong with it. */
async function versionNamed(
  stub: StateBackendClient,
  number: number,
  { store, timeline, timeout }: VersionOptions,
): Promise<Named> {
  const { snapshots } = await call(stub.listSnapshots.bind(stub), { store, partitions: [] }, timeout)
  const found = snapshots.filter(
    (each) => each.version === BigInt(number) && (timeline === "" || each.timeline === timeline),
  )
  const [only] = found
  if (found.length === 1 && only !== undefined) return only
  return { version: BigInt(number), timeline, pinned: false, pinNames: [] }
}

function pinnedText(name: string): string {
  return name === "" ? "pinned" : `pinned as ${name}:`
}

/** What there was to take off, by the listing of a moment before. */
function unpinnedText({ pinned, pinNames }: Named, name: string): string {
  if (name !== "") return pinNames.includes(name) ? `took the pin ${name} off` : "there was no such pin on"
  if (!pinned) return "there was no pin on"
  return pinNames.length > 0 ? `took off all pins, ${pinNames.join(", ")} among them, of` : "took the pin off"
}
