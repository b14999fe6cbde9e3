// One line for each event that matters. The main thread writes JSON lines; a shard hands its lines to main.

/** Plain values only: lines cross threads. */
export type LogFields = Readonly<Record<string, unknown>>

/** `event` is a stable word for programs, `message` is for people. */
export interface Log {
  debug(event: string, message: string, fields?: LogFields): void
  info(event: string, message: string, fields?: LogFields): void
  warn(event: string, message: string, fields?: LogFields): void
  error(event: string, message: string, fields?: LogFields): void
}

/** A line on its way between threads. */
export interface LogLine {
  readonly level: keyof Log
  readonly event: string
  readonly message: string
  readonly fields: LogFields | undefined
}

/** A log that hands each line to `write`. */
export function logTo(write: (line: LogLine) => void): Log {
  const at =
    (level: keyof Log) =>
    (event: string, message: string, fields?: LogFields): void =>
      write({ level, event, message, fields })
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") }
}

/** What a log line says about an error: its text, stack and causes. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: String(error) }
  return {
    error: error.message,
    stack: error.stack,
    ...("reason" in error ? { reason: String(error.reason) } : {}),
    ...(error.cause === undefined ? {} : { cause: String(error.cause) }),
  }
}
