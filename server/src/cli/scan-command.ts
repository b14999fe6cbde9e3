// scan: the records of a store, one a line, as they come. Memory does not grow with the store.

import { Metadata } from "@grpc/grpc-js"
import type { Command } from "commander"
import {
  type ClientOptions,
  type CommandContext,
  clientCommand,
  partitionOption,
  withStub,
} from "./command-context.ts"
import { messages } from "./daemon-connection.ts"
import { toJson } from "./output.ts"
import { addScanOptions, type ScanOptions } from "./scan-options.ts"
import { write } from "./terminal.ts"
import { parseBytes, printable } from "./values.ts"

interface ScanCommandOptions extends ClientOptions, ScanOptions {
  readonly partition?: number
}

const TIMEOUT_SECONDS = 3600

/** Adds `scan`. */
export function addScanCommand(program: Command, context: CommandContext): void {
  const command = clientCommand(program, context, {
    name: "scan",
    description: "print records, one a line: key, tab, value (with --json: one JSON document a line)",
    timeoutSeconds: TIMEOUT_SECONDS,
  }).addOption(partitionOption())
  addScanOptions(command).action((options: ScanCommandOptions) => scan(options, context))
}

async function scan(options: ScanCommandOptions, { terminal }: CommandContext): Promise<void> {
  const { hex, keysOnly } = options
  const request = {
    store: options.store,
    partition: options.partition,
    prefix: parseBytes(options.prefix, hex, "prefix"),
    start: parseBytes(options.start, hex, "start"),
    end: parseBytes(options.end, hex, "end"),
    keysOnly,
    limit: BigInt(options.limit),
  }
  const deadline = new Date(Date.now() + options.timeout * 1000)
  await withStub(options, "reads", async (stub) => {
    for await (const { partition, records } of messages(stub.scan(request, new Metadata(), { deadline }))) {
      const lines = records.map(({ key, value }) => {
        if (options.json) return toJson(keysOnly ? { partition, key } : { partition, key, value }, hex)
        return keysOnly ? printable(key, hex) : `${printable(key, hex)}\t${printable(value, hex)}`
      })
      if (lines.length > 0) await write(terminal, `${lines.join("\n")}\n`)
    }
  })
}
