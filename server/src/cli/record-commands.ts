// get, set, delete: one key.

import type { StateBackendClient } from "@varve/proto"
import { type Command, Option } from "commander"
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
import { UsageError } from "./exit-codes.ts"
import { tellValue } from "./found-value.ts"
import { toJson } from "./output.ts"
import { readAll, type Terminal, writeLine } from "./terminal.ts"
import { parseBytes } from "./values.ts"

interface RecordOptions extends ClientOptions, HexOptions {
  readonly partition?: number
}

/** Of commands that write. At most one of the two. */
interface ConditionOptions {
  readonly ifAbsent?: boolean
  readonly ifValue?: string
}

const EMPTY = new Uint8Array(0)
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
    .addOption(hexOption("key and values"))
    .addOption(new Option("--if-absent", "only if the key has no value").conflicts("ifValue"))
    .addOption(ifValueOption())
    .action((key: string, value: string, options: RecordOptions & ConditionOptions) =>
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
    .addOption(ifValueOption())
    .action((key: string, options: RecordOptions & ConditionOptions) =>
      remove(key, options, context.terminal),
    )
}

async function get(key: string, options: RecordOptions, context: CommandContext): Promise<void> {
  const request = {
    store: options.store,
    key: parseBytes(key, options.hex, "key"),
    partition: options.partition,
  }
  const { found, value } = await withStub(options, "reads", (stub) =>
    call(stub.get.bind(stub), request, options.timeout),
  )
  await tellValue(found ? value : undefined, options, context)
}

async function set(
  key: string,
  value: string,
  options: RecordOptions & ConditionOptions,
  terminal: Terminal,
): Promise<void> {
  const record = {
    key: parseBytes(key, options.hex, "key"),
    value: value === "-" ? await valueFromStdin(terminal) : parseBytes(value, options.hex, "value"),
  }
  const { store, partition, timeout } = options
  await writeRecord(record, options, (stub) =>
    call(stub.set.bind(stub), { store, partition, ...record }, timeout),
  )
  if (options.json) await writeLine(terminal, toJson({ valueBytes: record.value.length }, options.hex))
}

async function remove(
  key: string,
  options: RecordOptions & ConditionOptions,
  terminal: Terminal,
): Promise<void> {
  const record = { key: parseBytes(key, options.hex, "key"), value: EMPTY }
  const { store, partition, timeout } = options
  await writeRecord(record, options, (stub) =>
    call(stub.delete.bind(stub), { store, partition, key: record.key }, timeout),
  )
  if (options.json) await writeLine(terminal, toJson({}, options.hex))
}

/** Writes the record under the condition that the options name; without one by `plain`. */
async function writeRecord(
  { key, value }: { readonly key: Uint8Array; readonly value: Uint8Array },
  options: RecordOptions & ConditionOptions,
  plain: (stub: StateBackendClient) => Promise<unknown>,
): Promise<void> {
  const { store, partition, timeout } = options
  const expected = expectedValue(options)
  await withStub(options, "writes", async (stub) => {
    if (expected === undefined) return await plain(stub)
    const request = { store, partition, records: [{ key, value }], expected: [{ key, value: expected }] }
    return await call(stub.write.bind(stub), request, timeout)
  })
}

/** What the key has to hold, empty: nothing; `undefined`: anything. @throws UsageError */
function expectedValue({ ifAbsent, ifValue, hex }: RecordOptions & ConditionOptions): Uint8Array | undefined {
  if (ifAbsent === true) return EMPTY
  return ifValue === undefined ? undefined : parseBytes(ifValue, hex, "--if-value")
}

function ifValueOption(): Option {
  return new Option("--if-value <old>", "only if this is the key's present value; empty: if it has none")
}

async function valueFromStdin(terminal: Terminal): Promise<Buffer> {
  const value = await readAll(terminal, VALUE_BYTES_MAX)
  if (value === undefined) throw new UsageError(`the value on stdin has more than ${VALUE_BYTES_MAX} bytes`)
  return value
}
