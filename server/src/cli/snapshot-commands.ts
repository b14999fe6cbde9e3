// snapshot and restore: make a version, put one back.

import { type Command, Option } from "commander"
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
import { toJson } from "./output.ts"
import { checkMetadataLeftOut, nextVersion } from "./present-versions.ts"
import { withProgress } from "./progress.ts"
import { readAll, type Terminal, writeLine } from "./terminal.ts"
import { bytesText, collectPartitions, parseBytes, printable, secondsText } from "./values.ts"

interface SnapshotCommandOptions extends ClientOptions, HexOptions {
  readonly partition?: number[]
  readonly metadata?: string
}

interface RestoreCommandOptions extends ClientOptions, HexOptions {
  readonly partition?: number[]
  readonly timeline: string
  readonly replaced: string
  readonly fallback: string
  readonly mode: string
}

const TIMEOUT_SECONDS = 600
const METADATA_BYTES_MAX = 1024 * 1024
/** The beginning of what a restore answers: a partition and its handle. */
const HANDLE = /^\d+=./
const CONVERTED =
  "it was written by another engine or by another number of partitions: its records were written anew, " +
  "and the next version stores everything once"
const PARTITIONS_HELP = "only these partitions (repeat it, or use commas); default: all"

/** Adds `snapshot` and `restore`. */
export function addSnapshotCommands(program: Command, context: CommandContext): void {
  clientCommand(program, context, {
    name: "snapshot",
    description: "make the present state a version; done when it is committed",
    timeoutSeconds: TIMEOUT_SECONDS,
  })
    .addArgument(versionArgument("[version]", "default: the one after the newest on the current line"))
    .option("--partition <numbers>", PARTITIONS_HELP, collectPartitions)
    .option(
      "--metadata <text>",
      "kept inside the version; - reads it from stdin; default: none, where the newest version has none either",
    )
    .addOption(hexOption("metadata"))
    .action((version: number | undefined, options: SnapshotCommandOptions) =>
      snapshot(version, options, context.terminal),
    )

  clientCommand(program, context, {
    name: "restore",
    description: "put a version back; done when it is served",
    timeoutSeconds: TIMEOUT_SECONDS,
  })
    .addArgument(versionArgument("[version]", "default: the newest that every partition has"))
    .option("--partition <numbers>", PARTITIONS_HELP, collectPartitions)
    .option("--timeline <name>", "the version's timeline; needed when the number stands on several", "")
    .option("--replaced <handle>", "instead of a version: a state that an earlier restore replaced", "")
    .addOption(
      new Option("--fallback <which>", "when the newest version is damaged: the newest one that is not")
        .choices(["previous"])
        .default("", "none"),
    )
    .addOption(
      new Option("--mode <mode>", "lazy: done before all is fetched; eager: when all is here and proven")
        .choices(["lazy", "eager"])
        .default("", "as the store is set"),
    )
    .addOption(hexOption("metadata"))
    .action((version: number | undefined, options: RestoreCommandOptions, command: Command) =>
      restore(version, options, { terminal: context.terminal, daemon: daemonWords(command) }),
    )
}

async function snapshot(
  given: number | undefined,
  options: SnapshotCommandOptions,
  terminal: Terminal,
): Promise<void> {
  const metadata = await metadataBytes(options, terminal)
  const partitions = options.partition ?? []
  const response = await withStub(options, "writes", async (stub) => {
    if (options.metadata === undefined) await checkMetadataLeftOut(stub, options)
    const version = BigInt(given ?? (await nextVersion(stub, options)))
    return await withProgress(terminal, `snapshot ${version}`, () =>
      call(
        stub.snapshot.bind(stub),
        { store: options.store, partitions, version, metadata, lineages: {} },
        options.timeout,
      ),
    )
  })
  if (options.json) return await writeLine(terminal, toJson(response, options.hex))
  const { version, timeline, bytesNew, bytesReused, sealSeconds, totalSeconds, complete } = response
  await writeLine(
    terminal,
    `version ${version} committed on timeline ${timeline}, partitions ${response.partitions.join(", ")}: ` +
      `${storedText(bytesNew, bytesReused)}; ` +
      `sealed in ${secondsText(sealSeconds)}, done in ${secondsText(totalSeconds)}` +
      (complete ? "" : "; not complete: other partitions of the store have not committed it yet"),
  )
}

/** Reused is what the version has in common with what the repository held: of an unchanged state, all of it. */
function storedText(bytesNew: bigint, bytesReused: bigint): string {
  if (bytesNew + bytesReused === 0n) return "nothing to store"
  return `${bytesText(bytesNew)} stored, ${bytesText(bytesReused)} reused`
}

async function restore(
  version: number | undefined,
  options: RestoreCommandOptions,
  { terminal, daemon }: { terminal: Terminal; daemon: string },
): Promise<void> {
  if (version !== undefined && options.replaced !== "") {
    throw new UsageError("give a version or --replaced, not both")
  }
  if (options.replaced !== "" && !HANDLE.test(options.replaced)) {
    throw new UsageError(
      `--replaced: "${options.replaced.slice(0, 80)}" is no handle of a replaced state: a restore prints one; ` +
        "for a version: varve restore VERSION",
    )
  }
  if (options.fallback !== "" && (version !== undefined || options.replaced !== "")) {
    throw new UsageError("--fallback is for the newest version: give neither a version nor --replaced")
  }
  const request = {
    store: options.store,
    partitions: options.partition ?? [],
    version: version === undefined ? undefined : BigInt(version),
    timeline: options.timeline,
    replaced: options.replaced,
    fallback: options.fallback,
    mode: options.mode,
  }
  const response = await withStub(options, "writes", (stub) =>
    withProgress(terminal, "restore", () => call(stub.restore.bind(stub), request, options.timeout)),
  )
  if (options.json) return await writeLine(terminal, toJson(response, options.hex))
  const from =
    options.replaced !== ""
      ? `the state that was replaced is back${response.version === 0n ? " (it has no version of its own)" : ""}`
      : `restored version ${response.version} of timeline ${response.timeline}`
  await writeLine(
    terminal,
    `${from}, partitions ${response.partitions.join(", ")}, in ${secondsText(response.totalSeconds)}`,
  )
  if (response.converted) await writeLine(terminal, CONVERTED)
  for (const { version: damaged, timeline, why } of response.skipped) {
    await writeLine(terminal, `passed over version ${damaged} of timeline ${timeline}: ${why}`)
  }
  if (options.replaced === "" && response.metadata.length > 0) {
    await writeLine(terminal, `metadata: ${printable(response.metadata, options.hex)}`)
  }
  if (response.replaced !== "") {
    await writeLine(terminal, `undo with: varve restore --replaced ${response.replaced}${daemon}`)
  }
}

/** The words that lead to the same store of the same daemon: those that were given, as a shell takes them. */
function daemonWords(command: Command): string {
  return ["store", "address"]
    .filter((name) => command.getOptionValueSource(name) === "cli")
    .map((name) => ` --${name} ${shellWord(String(command.getOptionValue(name)))}`)
    .join("")
}

function shellWord(word: string): string {
  return /^[\w.:/@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

async function metadataBytes(
  { metadata = "", hex }: SnapshotCommandOptions,
  terminal: Terminal,
): Promise<Buffer> {
  if (metadata !== "-") return parseBytes(metadata, hex, "metadata")
  const bytes = await readAll(terminal, METADATA_BYTES_MAX)
  if (bytes === undefined)
    throw new UsageError(`the metadata on stdin has more than ${METADATA_BYTES_MAX} bytes`)
  return bytes
}
