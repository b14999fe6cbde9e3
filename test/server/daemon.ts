// A daemon as users run it: its own process, on free ports, in a temporary directory. For tests.
//
//     const daemon = await startDaemon()          ready when this resolves
//     await daemon.kill("SIGKILL"); const again = await daemon.restart()
//     await daemon.stop()                         SIGTERM, and its directory is removed

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("../../server/bin/varve.js", import.meta.url))
const READY_MS = 30_000

/** A line of the daemon's log. */
export interface DaemonLogLine {
  readonly level: string
  readonly event: string
  readonly message: string
  readonly [field: string]: unknown
}

export interface DaemonOptions {
  /** Further arguments of `serve`. */
  readonly flags?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Of Node itself. */
  readonly nodeFlags?: readonly string[]
  /** Made and removed by the fixture when absent. */
  readonly directory?: string
}

/** What a daemon that did not become ready left behind. */
export interface FailedStart {
  readonly exitCode: number | null
  readonly log: readonly DaemonLogLine[]
}

export class TestDaemon {
  readonly directory: string
  readonly grpc: string
  readonly http: string
  readonly log: DaemonLogLine[]
  readonly #child: ChildProcess
  readonly #options: DaemonOptions

  constructor(child: ChildProcess, directory: string, log: DaemonLogLine[], options: DaemonOptions) {
    const ready = log.find(({ event }) => event === "ready")!
    this.#child = child
    this.#options = options
    this.directory = directory
    this.log = log
    this.grpc = String(ready["grpc"])
    this.http = `http://${String(ready["http"])}`
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Sends a signal; resolves the exit code (null: by signal) when the process is gone. */
  async kill(signal: NodeJS.Signals): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode
    const gone = once(this.#child, "exit")
    this.#child.kill(signal)
    const [exitCode] = (await gone) as [number | null]
    return exitCode
  }

  /** A new process on the same directory, on new ports; this one must be gone. */
  restart(options: Partial<DaemonOptions> = {}): Promise<TestDaemon> {
    return startDaemon({ ...this.#options, ...options, directory: this.directory })
  }

  /** Stops the process and removes its directory. */
  async stop(): Promise<void> {
    await this.kill("SIGTERM")
    await rm(this.directory, { recursive: true, force: true })
  }
}

/** Resolves when the daemon is ready. @throws (rejects) with its log when it ends before */
export async function startDaemon(options: DaemonOptions = {}): Promise<TestDaemon> {
  const started = await launch(options)
  if (started instanceof TestDaemon) return started
  if (options.directory === undefined) await rm(started.directory, { recursive: true, force: true })
  const lines = started.log.map((line) => JSON.stringify(line)).join("\n")
  throw new Error(`the daemon ended with code ${started.exitCode}\n${lines}`)
}

/** Starts a daemon that is expected to refuse; resolves what it said. @throws when it becomes ready */
export async function startRefusedDaemon(
  options: DaemonOptions & { readonly directory: string },
): Promise<FailedStart> {
  const started = await launch(options)
  if (!(started instanceof TestDaemon)) return started
  await started.kill("SIGKILL")
  throw new Error("the daemon became ready")
}

async function launch(options: DaemonOptions): Promise<TestDaemon | (FailedStart & { directory: string })> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "varve-daemon-")))
  const flags = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir", join(directory, "data")]
  const child = spawn(
    process.execPath,
    [...(options.nodeFlags ?? []), program, "serve", ...flags, ...(options.flags ?? [])],
    {
      cwd: directory,
      env: { ...process.env, ...options.environment },
      stdio: ["ignore", "pipe", "inherit"],
    },
  )
  const log: DaemonLogLine[] = []
  const lines = createInterface({ input: child.stdout })
  const ended = once(child, "close") as Promise<[number | null]>
  const ready = new Promise<true>((resolve) => {
    lines.on("line", (line) => {
      log.push(parseLine(line))
      if (log.at(-1)!.event === "ready") resolve(true)
    })
  })
  const timer = setTimeout(() => child.kill("SIGKILL"), READY_MS)
  const first = await Promise.race([ready, ended])
  clearTimeout(timer)
  return first === true
    ? new TestDaemon(child, directory, log, options)
    : { exitCode: first[0], log, directory }
}

/** A line that is no JSON is kept too: it shows in the message of the test that fails for it. */
function parseLine(line: string): DaemonLogLine {
  try {
    return JSON.parse(line) as DaemonLogLine
  } catch {
    return { level: "error", event: "not-json", message: line }
  }
}
