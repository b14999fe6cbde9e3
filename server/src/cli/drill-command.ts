// drill: has the daemon prove, from the repository alone, that the newest version of a store can be restored.

import type { DrillDescription } from "@varve/proto"
import type { Command } from "commander"
import { type ClientOptions, type CommandContext, clientCommand, withStub } from "./command-context.ts"
import { call } from "./daemon-connection.ts"
import { exitCodes } from "./exit-codes.ts"
import { toJson } from "./output.ts"
import { withProgress } from "./progress.ts"
import { writeLine } from "./terminal.ts"
import { bytesText, secondsText } from "./values.ts"

/** It reads everything, within the daemon's budget. */
const TIMEOUT_SECONDS = 24 * 60 * 60

const NEXT_STEP = 'what to do now: "When a restore drill fails" in deploy/recovery.md'

/** Adds `drill`. */
export function addDrillCommand(program: Command, context: CommandContext): void {
  const { terminal, exitWith } = context
  clientCommand(program, context, {
    name: "drill",
    description: "have the daemon read the newest version from the repository alone and prove it",
    timeoutSeconds: TIMEOUT_SECONDS,
  }).action(async (options: ClientOptions) => {
    const { drill } = await withStub(options, "reads", (stub) =>
      withProgress(terminal, "drilling", () =>
        call(stub.drillStore.bind(stub), { store: options.store }, options.timeout),
      ),
    )
    if (drill?.passed !== true) exitWith(exitCodes.dataLoss.code)
    if (options.json) return await writeLine(terminal, toJson(drill, false))
    for (const line of drill?.damage ?? []) await writeLine(terminal, line)
    if (drill !== undefined) await writeLine(terminal, summary(drill))
    if (drill?.passed !== true) await writeLine(terminal, NEXT_STEP)
  })
}

function summary({ passed, version, bytesRead, seconds, ...drill }: DrillDescription): string {
  const found = `version ${version} ${passed ? "can" : "cannot"} be restored`
  const read = `${bytesText(bytesRead)} read in ${secondsText(seconds)}`
  if (!passed) return `${found}; ${read}`
  const { firstAnswerSeconds, completeSeconds } = drill
  return `${found}: first answer after ${secondsText(firstAnswerSeconds)}, complete after ${secondsText(completeSeconds)}; ${read}`
}
