// The daemon's log: one JSON line on standard output for each event. Written synchronously, so that the last
// lines of a dying process are not lost.

import { destination, pino } from "pino"
import type { LogLevel } from "../config/settings.ts"
import { type Log, logTo } from "../log.ts"

const STDOUT = 1

/** A log at `level` and above on standard output. */
export function jsonLog(level: LogLevel): Log {
  const logger = pino(
    {
      level,
      base: { service: "varve" },
      formatters: { level: (name) => ({ level: name }) },
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    destination({ fd: STDOUT, sync: true }),
  )
  return logTo(({ level: lineLevel, event, message, fields }) =>
    logger[lineLevel]({ ...fields, event }, message),
  )
}
