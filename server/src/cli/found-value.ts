// What commands print that ask for one value: its bytes as they are, or a document; and nothing where there is none.

import type { CommandContext } from "./command-context.ts"
import { exitCodes } from "./exit-codes.ts"
import { toJson } from "./output.ts"
import { write, writeLine } from "./terminal.ts"

/** @param value undefined: the key is not there */
export async function tellValue(
  value: Uint8Array | undefined,
  { json, hex }: { readonly json: boolean; readonly hex: boolean },
  { terminal, exitWith }: CommandContext,
): Promise<void> {
  const found = value !== undefined
  if (!found) exitWith(exitCodes.notFound.code)
  if (json) {
    await writeLine(terminal, toJson(found ? { found, value } : { found }, hex))
  } else if (found) {
    await write(terminal, hex ? Buffer.from(value).toString("hex") : value)
    // On a terminal the next prompt begins on a line of its own.
    if (terminal.stdout.isTTY === true) await write(terminal, "\n")
  }
}
