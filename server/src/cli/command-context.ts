// What every command gets, and the options that all commands that talk to a daemon share.

import type { StateBackendClient } from "@varve/proto"
import { Argument, type Command, Option } from "commander"
import { parseAddress } from "./address.ts"
import { type Effect, withExplanation } from "./connection-errors.ts"
import { openStub } from "./daemon-connection.ts"
import type { Terminal } from "./terminal.ts"
import { wholeNumber } from "./values.ts"

export interface CommandContext {
  readonly terminal: Terminal
  /** Sets the exit code; without a call it is 0. */
  exitWith(code: number): void
}

export interface ClientOptions {
  readonly address: string
  readonly store: string
  readonly json: boolean
  /** In seconds. */
  readonly timeout: number
}

/** Of commands that take or print bytes. */
export interface HexOptions {
  readonly hex: boolean
}

const VERSION_MAX = Number.MAX_SAFE_INTEGER
const PARTITION_MAX = 2 ** 32 - 1
const TIMEOUT_SECONDS_MAX = 86_400

interface CommandWords {
  readonly name: string
  readonly description: string
  readonly timeoutSeconds: number
}

/** Adds a command with the options of a client of one store. */
export function clientCommand(parent: Command, context: CommandContext, words: CommandWords): Command {
  return daemonCommand(parent, context, words).addOption(
    new Option("--store <name>", "the store").default("default"),
  )
}

/** Adds a command that is about a daemon as a whole. */
export function daemonCommand(
  parent: Command,
  context: CommandContext,
  { name, description, timeoutSeconds }: CommandWords,
): Command {
  const address = context.terminal.environment["VARVE_ADDRESS"] ?? "127.0.0.1:7400"
  return parent
    .command(name)
    .description(description)
    .addOption(
      new Option(
        "--address <address>",
        "the daemon, host:port or unix:PATH (or VARVE_ADDRESS); without a port: 7400",
      ).default(address),
    )
    .addOption(new Option("--json", "print JSON").default(false))
    .addOption(
      new Option("--timeout <seconds>", "give up after")
        .argParser(wholeNumber(1, TIMEOUT_SECONDS_MAX))
        .default(timeoutSeconds),
    )
}

/** An option for bytes as hex digits; `what` names them. */
export function hexOption(what: string): Option {
  return new Option("--hex", `${what} as hex digits`).default(false)
}

/** An option for the partition of one call. */
export function partitionOption(): Option {
  return new Option(
    "--partition <number>",
    "the partition; needed where the store is partitioned explicitly",
  ).argParser(wholeNumber(0, PARTITION_MAX))
}

/** A required or optional argument that is a version. */
export function versionArgument(name: "<version>" | "[version]", description: string): Argument {
  return new Argument(name, description).argParser(wholeNumber(1, VERSION_MAX))
}

/** Runs `use` with a stub that is closed afterwards. @throws (rejects) UsageError, VarveError */
export async function withStub<Result>(
  options: Pick<ClientOptions, "address">,
  effect: Effect,
  use: (stub: StateBackendClient) => Promise<Result>,
): Promise<Result> {
  const address = parseAddress(options.address)
  const stub = openStub(address)
  try {
    return await withExplanation({ address, effect }, () => use(stub))
  } finally {
    stub.close()
  }
}
