// get, set, delete: one key.

import type { Command } from "commander"
import {
  type ClientOptions,
  type CommandContext,
  clientCommand,
  type HexOptions,
  hexOption,
  partitionOption,
  withStub,
} from "./command-context.ts"
import { call } from "./daemon-connection.ts"
import { exitCodes, UsageError } from "./exit-codes.ts"
import { toJson } from "./output.ts"
import { readAll, type Terminal, write, writeLine } from "./terminal.ts"
import { parseBytes } from "./values.ts"

interface RecordOptions extends ClientOptions, HexOptions {
  readonly partition?: number
}

const TIMEOUT_SECONDS = 10
/** The largest value that any store can be told to take. */
const VALUE_BYTES_MAX = 256 * 1024 * 1024

/** Adds `get`, `set` and `delete`. */
export function addRecordCommands(program: Command, context: CommandContext): void {
  clientCommand(program, context, {
    name: "get",
    description: "print the value of a key: its bytes as they are, and a newline on a terminal only",
    timeoutSeconds: TIMEOUT_SECONDS,
  })
    .argument("<key>")
    .addOption(partitionOption())
    .addOption(hexOption("key and value"))
    .action((key: string, options: RecordOptions) => get(key, options, context))

  clientCommand(program, context, {
    name: "set",
    description: "set a key; an empty value deletes it; silent when done",
    timeoutSeconds: TIMEOUT_SECONDS,
  })
    .argument("<key>")
    .argument("<value>", "the value, or - to read its bytes from stdin")
    .addOption(partitionOption())
    .addOption(hexOption("key and value"))
    .action((key: string, value: string, options: RecordOptions) =>
      set(key, value, options, context.terminal),
    )

  clientCommand(program, context, {
    name: "delete",
    description: "delete a key; one that is not there is no error; silent when done",
    timeoutSeconds: TIMEOUT_SECONDS,
  })
    .argument("<key>")
    .addOption(partitionOption())
    .addOption(hexOption("key and value"))
    .action((key: string, options: RecordOptions) => remove(key, options, context.terminal))
}

async function get(
  key: string,
  options: RecordOptions,
  { terminal, exitWith }: CommandContext,
): Promise<void> {
  const request = {
    store: options.store,
    key: parseBytes(key, options.hex, "key"),
    partition: options.partition,
  }
  const { found, value } = await withStub(options, "reads", (stub) =>
    call(stub.get.bind(stub), request, options.timeout),
  )
  if (!found) exitWith(exitCodes.notFound.code)
  if (options.json) {
    await writeLine(terminal, toJson(found ? { found, value } : { found }, options.hex))
  } else if (found) {
    await write(terminal, options.hex ? Buffer.from(value).toString("hex") : value)
    if (terminal.stdout.isTTY === true) await write(terminal, "\n")
  }
}

async function set(key: string, value: string, options: RecordOptions, terminal: Terminal): Promise<void> {
  const request = {
    store: options.store,
    key: parseBytes(key, options.hex, "key"),
    value: value === "-" ? await valueFromStdin(terminal) : parseBytes(value, options.hex, "value"),
    partition: options.partition,
  }
  await withStub(options, "writes", (stub) => call(stub.set.bind(stub), request, options.timeout))
  if (options.json) await writeLine(terminal, toJson({ valueBytes: request.value.length }, options.hex))
}

async function remove(key: string, options: RecordOptions, terminal: Terminal): Promise<void> {
  const request = {
    store: options.store,
    key: parseBytes(key, options.hex, "key"),
    partition: options.partition,
  }
  await withStub(options, "writes", (stub) => call(stub.delete.bind(stub), request, options.timeout))
  if (options.json) await writeLine(terminal, toJson({}, options.hex))
}

async function valueFromStdin(terminal: Terminal): Promise<Buffer> {
  const value = await readAll(terminal, VALUE_BYTES_MAX)
  if (value === undefined) throw new UsageError(`the value on stdin has more than ${VALUE_BYTES_MAX} bytes`)
  return value
}
