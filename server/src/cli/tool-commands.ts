// All commands but `serve`: those that talk to a daemon, and those that read a repository themselves.

import type { Command } from "commander"
import { addBenchCommand } from "./bench-command.ts"
import type { CommandContext } from "./command-context.ts"
import { addDescribeCommand } from "./describe-command.ts"
import { addDrillCommand } from "./drill-command.ts"
import { addGcCommand } from "./gc-command.ts"
import { addRecordCommands } from "./record-commands.ts"
import { addScanCommand } from "./scan-command.ts"
import { addSnapshotCommands } from "./snapshot-commands.ts"
import { addSnapshotsCommand } from "./snapshots-command.ts"

export function addToolCommands(program: Command, context: CommandContext): void {
  addRecordCommands(program, context)
  addScanCommand(program, context)
  addSnapshotCommands(program, context)
  addSnapshotsCommand(program, context)
  addGcCommand(program, context)
  addDrillCommand(program, context)
  addDescribeCommand(program, context)
  addBenchCommand(program, context)
}
