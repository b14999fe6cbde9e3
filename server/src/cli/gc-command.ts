// gc and gc why: the space of a repository, through a daemon or on the repository's URL.

import type { CollectGarbageResponse, WhyKeptResponse } from "@varve/proto"
import type { Command } from "commander"
import { durationWords, parseDuration } from "../config/duration.ts"
import { type ClientOptions, type CommandContext, daemonCommand, withStub } from "./command-context.ts"
import { call } from "./daemon-connection.ts"
import { exitCodes, UsageError } from "./exit-codes.ts"
import { table, toJson } from "./output.ts"
import { withProgress } from "./progress.ts"
import { type Terminal, writeLine } from "./terminal.ts"
import { bytesText, countText, secondsText } from "./values.ts"

interface RepositoryOptions extends Omit<ClientOptions, "store"> {
  readonly repository?: string
}

interface CollectOptions extends RepositoryOptions {
  readonly dryRun: boolean
  readonly grace?: string
  readonly liveMin?: string
  readonly exclusive: boolean
}

const TIMEOUT_SECONDS = 3600
const REPOSITORY_HELP = "without a daemon: file:DIR or s3://BUCKET/PREFIX"
/** Of the start of a chunk's SHA-256, or of a pack's id: all of its digits. */
const KEPT_NAME = /^[0-9a-f]{8,64}$/
const PACK_ID_DIGITS = 32
const PACK_NOT_READ = "the pack itself was not read: `varve snapshots verify` proves what versions have in it"
/** Of a hash or a run in a table. */
const NAME_CHARACTERS = 16

/** Adds `gc` with `gc why`. */
export function addGcCommand(program: Command, context: CommandContext): void {
  const { terminal } = context
  const description =
    "free the space of what no version needs: what is found goes at a later run, when the grace is over"
  const gc = daemonCommand(program, context, { name: "gc", description, timeoutSeconds: TIMEOUT_SECONDS })
    // Options behind `why` are its own.
    .enablePositionalOptions()
    .option("--dry-run", "only say what would be done", false)
    .option("--repository <url>", `${REPOSITORY_HELP}; safe beside running daemons`)
    .option("--grace <duration>", "with --repository: how long what nothing needs is kept; default: 1d")
    .option("--live-min <part>", "with --repository: rewrite packs of which less is needed; default: 0.3")
    .option("--exclusive", "with --repository: no daemon uses it now, so any grace will do", false)
  gc.action(async (options: CollectOptions, command: Command) => {
    checkWhere(options, command)
    const response = await withProgress(terminal, "collecting garbage", () => collect(options))
    await writeLine(terminal, options.json ? toJson(response, false) : describe(response, options.dryRun))
  })

  daemonCommand(gc, context, {
    name: "why",
    description: "say which versions and images keep a chunk or a pack",
    timeoutSeconds: TIMEOUT_SECONDS,
  })
    .argument("<hash>", "8 to 64 hex digits from the start of a chunk's SHA-256, or the 32 of a pack's id")
    .option("--repository <url>", REPOSITORY_HELP)
    .action(async (name: string, options: RepositoryOptions, command: Command) => {
      checkWhere(options, command)
      if (!KEPT_NAME.test(name)) {
        const allowed =
          "8 to 64 hex digits (0-9, a-f) from the start of a chunk's SHA-256, or the 32 of a pack's id"
        throw new UsageError(`"${name.slice(0, 80)}" names no chunk and no pack: ${allowed}`)
      }
      const response = await withProgress(terminal, "looking", () => why(name, options))
      if (response.damage.length > 0) context.exitWith(exitCodes.dataLoss.code)
      if (options.json) await writeLine(terminal, toJson(response, false))
      else await explain(name, response, terminal)
    })
}

/** @throws UsageError */
function checkWhere(options: RepositoryOptions & Partial<CollectOptions>, command: Command): void {
  const { repository, grace, liveMin, exclusive } = options
  if (repository !== undefined && command.getOptionValueSource("address") === "cli") {
    throw new UsageError("give --address or --repository, not both")
  }
  if (repository === undefined && (grace !== undefined || liveMin !== undefined || exclusive === true)) {
    throw new UsageError(
      "--grace, --live-min and --exclusive go with --repository: a daemon has its settings",
    )
  }
}

async function collect(options: CollectOptions): Promise<CollectGarbageResponse> {
  const { repository, dryRun, exclusive, timeout } = options
  if (repository === undefined) {
    return await withStub(options, "writes", (stub) =>
      call(stub.collectGarbage.bind(stub), { dryRun }, timeout),
    )
  }
  const { collectIn } = await import("./repository-work.ts")
  const { collectionAnswer } = await import("../control/garbage-collector.ts")
  const startedMs = performance.now()
  const result = await collectIn(repository, { dryRun, exclusive, ...rulesOf(options) })
  return collectionAnswer(result, (performance.now() - startedMs) / 1000)
}

/** @throws UsageError */
function rulesOf({ grace, liveMin }: CollectOptions): { graceMs?: number; liveMin?: number } {
  const graceMs = grace === undefined ? undefined : parseDuration(grace)
  if (grace !== undefined && graceMs === undefined) {
    throw new UsageError(`--grace: "${grace}" is no duration: ${durationWords}`)
  }
  if (liveMin !== undefined && !/^(?:0(?:\.\d{1,9})?|1)$/.test(liveMin)) {
    throw new UsageError(`--live-min: "${liveMin}" is no part: 0 to 1`)
  }
  return {
    ...(graceMs === undefined ? {} : { graceMs }),
    ...(liveMin === undefined ? {} : { liveMin: Number(liveMin) }),
  }
}

async function why(name: string, options: RepositoryOptions): Promise<WhyKeptResponse> {
  const { repository, timeout } = options
  if (repository === undefined) {
    return await withStub(options, "reads", (stub) => call(stub.whyKept.bind(stub), { name }, timeout))
  }
  const { whyKeptIn } = await import("./repository-work.ts")
  const { reasonsAnswer } = await import("../control/garbage-collector.ts")
  return reasonsAnswer(await whyKeptIn(repository, name))
}

function describe(response: CollectGarbageResponse, dryRun: boolean): string {
  const { packs, manifests, images, probes, bytes, bytesLive, condemned, rewritten, bytesRewritten } =
    response
  const { removed, bytesRemoved, pardoned, superseded, seconds } = response
  const would = dryRun ? "would be " : ""
  const lines = [
    `${countText(packs, "pack")} of ${bytesText(bytes)}, of which ${bytesText(bytesLive)} are needed by ${countText(manifests, "version")} of partitions${andImages(images)}`,
    `${countText(removed, "pack")} ${would}removed: ${bytesText(bytesRemoved)}`,
    `${countText(condemned, "pack")} ${would}condemned: gone when the grace is over, unless needed by then`,
    `${countText(rewritten, "pack")} ${would}rewritten${dryRun ? "" : ` into ${bytesText(bytesRewritten)}`}`,
    ...(pardoned === 0 ? [] : [`${countText(pardoned, "pack")} ${would}pardoned: needed again`]),
    ...(probes === 0 ? [] : [`${countText(probes, "leftover")} of trying the store out ${would}removed`]),
    ...(superseded === 0 ? [] : [`${countText(superseded, "manifest")} that came too late ${would}removed`]),
    `${dryRun ? "looked through" : "done"} in ${secondsText(seconds)}`,
  ]
  return lines.join("\n")
}

async function explain(
  name: string,
  { chunks, keepers, images, damage }: WhyKeptResponse,
  terminal: Terminal,
): Promise<void> {
  for (const line of damage) await writeLine(terminal, line)
  if (damage.length > 0)
    await writeLine(terminal, "who keeps what by way of these is not known; of the rest:")
  if (keepers.length + images.length === 0) return await writeLine(terminal, nothingNeeds(name))
  for (const { hash, bytes, packs } of chunks) {
    await writeLine(terminal, `chunk ${hash}: ${bytes} bytes in pack ${packs.join(", ")}`)
  }
  const head = ["store", "partition", "timeline", "version", "by runs"]
  const rows = keepers.map(({ store, partition, timeline, version, runs }) => {
    return [store, partition, timeline, version, runs.map((run) => run.slice(0, NAME_CHARACTERS)).join(", ")]
  })
  if (rows.length > 0) await writeLine(terminal, table(head, rows))
  const imageRows = images.map(({ name: image, id }) => [image, id])
  if (imageRows.length > 0) await writeLine(terminal, table(["image", "id"], imageRows))
  if (name.length === PACK_ID_DIGITS) await writeLine(terminal, PACK_NOT_READ)
}

/** Whether it is stored all the same is not said: that would take reading every pack. */
function nothingNeeds(name: string): string {
  const orPack = name.length === PACK_ID_DIGITS ? ", nor anything of a pack with this id" : ""
  return (
    `nothing needs ${name}: no version and no image needs a chunk whose SHA-256 begins so${orPack}. ` +
    "The ids of runs that `varve snapshots show` prints are names of neither: it lists itself which versions share a run"
  )
}

function andImages(count: number): string {
  return count === 0 ? "" : ` and ${countText(count, "image")}`
}
