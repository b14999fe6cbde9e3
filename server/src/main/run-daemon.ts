// `varve serve`: the daemon as a process, with its signals and its exit code.

import { EngineError, isEngineError } from "@varve/engines"
import { exitCodeOfStart, exitCodes } from "../cli/exit-codes.ts"
import { loadSettings, type SettingSources } from "../config/load-settings.ts"
import { SettingsError } from "../config/settings.ts"
import { errorFields, type Log, type LogFields } from "../log.ts"
import { jsonLog } from "./json-log.ts"
import { type Daemon, startDaemon } from "./start-daemon.ts"

/** After a signal the process exits within this time, whatever hangs. Only a thread that loads is waited for then. */
const STOP_LIMIT_MS = 9500
const signals = ["SIGTERM", "SIGINT"] as const

/**
 * Runs a daemon until a signal or its end; resolves the exit code of the process. A second signal, a fault that
 * nobody caught and a stop that hangs end the process at once.
 */
export async function runDaemon(sources: SettingSources): Promise<number> {
  let log: Log = jsonLog("info")
  try {
    const { settings, warnings } = await loadSettings(sources)
    log = jsonLog(settings.log.level)
    exitOnFaults(log)
    for (const warning of warnings) log.warn("setting-unknown", warning)
    return await stopOnSignal(log, () => startDaemon(settings, log))
  } catch (error) {
    if (isSettingError(error)) {
      log.error("setting-refused", error.message)
      return exitCodes.usage.code
    }
    const { message, fields } = explained(error)
    log.error("start-failed", message, fields)
    return exitCodeOfStart(error)
  }
}

/** What a failed start says, with what to do about a full disk: an error with a reason, or of the system, needs no stack. */
function explained(error: unknown): { message: string; fields: LogFields } {
  const said = error instanceof Error ? error.message : String(error)
  const message = isEngineError(error, "STORAGE_FULL") ? `${said}: make room` : said
  if (error instanceof Error && "reason" in error)
    return { message, fields: { reason: String(error.reason) } }
  return { message, fields: error instanceof Error && "syscall" in error ? {} : errorFields(error) }
}

function isSettingError(error: unknown): error is Error {
  if (error instanceof SettingsError) return true
  return error instanceof EngineError && ["SETTING_INVALID", "REPOSITORY_URL_INVALID"].includes(error.reason)
}

async function stopOnSignal(log: Log, start: () => Promise<Daemon>): Promise<number> {
  let stop: (signal: string) => void = () => undefined
  const stopped = new Promise<string>((resolve) => {
    stop = resolve
  })
  let signalled = false
  const onSignal = (signal: string): void => {
    if (signalled) {
      log.error("stop-forced", `a second signal (${signal}): the process ends at once`)
      process.exit(exitCodes.failed.code)
    }
    signalled = true
    stop(signal)
    // Not kept alive by this timer; it ends a process that something else keeps alive.
    setTimeout(() => {
      log.error("stop-forced", `the daemon did not stop within ${STOP_LIMIT_MS} ms`)
      process.exit(exitCodes.failed.code)
    }, STOP_LIMIT_MS).unref()
  }
  for (const signal of signals) process.on(signal, onSignal)
  const daemon = await start()
  const end = await stopped
  log.info("stopping", `${end}: the daemon drains and stops`)
  try {
    await daemon.close()
  } catch (error) {
    log.error(
      "stop-failed",
      "not everything could be kept: the next start restores a version",
      errorFields(error),
    )
    return exitCodes.failed.code
  }
  log.info("stopped", "the daemon has stopped; everything is kept")
  return exitCodes.ok.code
}

function exitOnFaults(log: Log): void {
  const fatal = (event: string) => (error: unknown) => {
    log.error(event, "a fault that nobody caught: the process ends", errorFields(error))
    process.exit(exitCodes.failed.code)
  }
  process.on("uncaughtException", fatal("uncaught-exception"))
  process.on("unhandledRejection", fatal("unhandled-rejection"))
}
