// The command line as one function over its streams: parse, run, turn whatever happened into an exit code and
// a message that says what to do.

import { isVarveError } from "@varve/proto"
import { Command, CommanderError } from "commander"
import { loadModule } from "../load-module.ts"
import type { CommandContext } from "./command-context.ts"
import { describeExitCodes, exitCodeOf, exitCodes, OfflineError, UsageError } from "./exit-codes.ts"
import { hintFor, offlineHintFor } from "./hints.ts"
import { isServe } from "./is-serve.ts"
import type * as ServeCommand from "./serve-command.ts"
import { softwareVersion } from "./software-version.ts"
import type { Terminal } from "./terminal.ts"
import type * as ToolCommands from "./tool-commands.ts"

/** Runs the command line `words` (without node and script). Resolves its exit code; never rejects. */
export async function runCommandLine(words: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode: number = exitCodes.ok.code
  const context: CommandContext = {
    terminal,
    exitWith(code: number) {
      exitCode = code
    },
  }
  const program = new Command("varve")
    .description("Varve, the state backend of stateful functions: the daemon and its tools")
    .version(softwareVersion())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      outputError: (text, write) => write(`varve: ${text.replace(/^error: /, "")}`),
    })
    .showSuggestionAfterError()
    // Options belong to the command that they stand behind: some commands have commands of their own.
    .enablePositionalOptions()
    .addHelpText("after", `\n${describeExitCodes()}`)
  await addCommands(program, context, words)
  pointToHelp(program, program.name())
  try {
    await program.parseAsync([...words], { from: "user" })
    return exitCode
  } catch (error) {
    // Commander has printed its own message; help and version end this way too, with code 0.
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? exitCodes.ok.code : exitCodes.usage.code
    terminal.stderr.write(describeError(error))
    return exitCodeOf(error)
  }
}

/** Loading modules is most of what a start takes: `serve` loads the daemon's, the other commands load the tools'. */
async function addCommands(
  program: Command,
  context: CommandContext,
  words: readonly string[],
): Promise<void> {
  const serve = program
    .command("serve")
    .description(
      "run the daemon until SIGTERM or SIGINT; flags beat VARVE_… variables beat the file beat defaults",
    )
  if (words.includes("serve")) {
    const module = await loadModule<typeof ServeCommand>("./serve-command.ts", import.meta.url)
    module.completeServe(serve, context)
  }
  if (isServe(words)) return
  const module = await loadModule<typeof ToolCommands>("./tool-commands.ts", import.meta.url)
  module.addToolCommands(program, context)
}

/** Errors in the words of a command end with the way to its help. */
function pointToHelp(command: Command, words: string): void {
  command.showHelpAfterError(`  \`${words} --help\` shows what it takes`)
  for (const each of command.commands) pointToHelp(each, `${words} ${each.name()}`)
}

function describeError(error: unknown): string {
  if (error instanceof UsageError) return `varve: ${error.message}\n`
  if (!isVarveError(error))
    return `varve: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`
  const hint = error instanceof OfflineError ? offlineHintFor(error.reason) : hintFor(error.reason)
  return `varve: ${error.reason}: ${error.message}\n${hint === undefined ? "" : `  ${hint}\n`}`
}
