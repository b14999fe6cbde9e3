// snapshots prune: removes the versions that rules of retention let go, and says why each stays or goes.

import type { RetentionDecision } from "@varve/proto"
import type { Command } from "commander"
import { durationWords, parseDuration } from "../config/duration.ts"
import { type ClientOptions, type CommandContext, clientCommand, withStub } from "./command-context.ts"
import { call } from "./daemon-connection.ts"
import { UsageError } from "./exit-codes.ts"
import { table, toJson } from "./output.ts"
import { withProgress } from "./progress.ts"
import { writeLine } from "./terminal.ts"
import { countText, timeText, wholeNumber } from "./values.ts"

interface PruneOptions extends ClientOptions {
  readonly keepLast?: number
  readonly keepFor?: string
  readonly dryRun: boolean
}

const TIMEOUT_SECONDS = 600
const KEEP_LAST_MAX = 1_000_000

/** Adds `prune` to `snapshots`. */
export function addPruneCommand(snapshots: Command, context: CommandContext): void {
  const { terminal } = context
  clientCommand(snapshots, context, {
    name: "prune",
    description: "remove the versions that neither rule keeps; without a rule: by the store's settings",
    timeoutSeconds: TIMEOUT_SECONDS,
  })
    .option(
      "--keep-last <count>",
      "keep the newest complete versions of the current line",
      wholeNumber(0, KEEP_LAST_MAX),
    )
    .option("--keep-for <duration>", `keep what is younger: ${durationWords}`)
    .option("--dry-run", "only say what would go", false)
    .action(async (options: PruneOptions) => {
      const { store, keepLast, dryRun } = options
      const keepForMs = durationOf(options.keepFor)
      const request = {
        ...{ store, dryRun },
        ...(keepLast === undefined ? {} : { keepLast }),
        ...(keepForMs === undefined ? {} : { keepForMs }),
      }
      const { decisions } = await withStub(options, "writes", (stub) =>
        withProgress(terminal, "pruning", () =>
          call(stub.pruneSnapshots.bind(stub), request, options.timeout),
        ),
      )
      await writeLine(terminal, options.json ? toJson(decisions, false) : describe(decisions, options))
    })
}

/** @throws UsageError */
function durationOf(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined
  const ms = parseDuration(text)
  if (ms === undefined) throw new UsageError(`--keep-for: "${text}" is no duration: ${durationWords}`)
  return BigInt(ms)
}

function describe(decisions: readonly RetentionDecision[], { store, dryRun }: PruneOptions): string {
  if (decisions.length === 0) return `store ${store} has no versions yet`
  const rows = decisions.map(({ version, timeline, createdMs, kept, reason }) => {
    return [version, timeline, timeText(createdMs), kept ? "kept" : dryRun ? "would go" : "gone", reason]
  })
  const gone = decisions.filter(({ kept }) => !kept).length
  const went = gone === 1 ? "is gone" : "are gone"
  const sum = `${gone} of ${countText(decisions.length, "version")} ${dryRun ? "would go" : went}`
  return `${table(["version", "timeline", "time", "", "why"], rows)}\n${sum}`
}
