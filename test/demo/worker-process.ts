// The worker of client/examples as a process that can be killed and started anew, and what it last printed.

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const program = "client/examples/count-words.ts"

/** What a worker is started with. */
export interface WorkerTask {
  readonly address: string
  /** The file whose words are counted. */
  readonly input: string
  readonly store?: string
  readonly partition?: number
  /** Milliseconds between two versions. */
  readonly everyMs?: number
}

export class WorkerProcess {
  readonly #task: WorkerTask
  readonly #say: (line: string) => void
  #process: ChildProcess
  #killed = false
  /** What its last version holds of the input, in bytes, and the number of that version; 0: none was seen yet. */
  offset = 0
  version = 0
  /** Why it ended, when nobody killed it. */
  failure: string | undefined

  /** Starts at once; `say` hears every line that it prints but those about versions. */
  constructor(task: WorkerTask, say: (line: string) => void) {
    this.#task = task
    this.#say = say
    this.#process = this.#spawn(task)
  }

  /** Starts a new process, which knows nothing of the one before; `task` replaces parts of the first one. */
  start(task: Partial<WorkerTask> = {}): void {
    this.#killed = false
    this.failure = undefined
    this.#process = this.#spawn({ ...this.#task, ...task })
  }

  /** Ends the worker without warning. */
  async kill(): Promise<void> {
    const child = this.#process
    this.#killed = true
    if (child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, "close")
    child.kill("SIGKILL")
    await closed
  }

  #spawn({ address, input, store, partition, everyMs }: WorkerTask): ChildProcess {
    const flags = Object.entries({ address, store, partition, every: everyMs }).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}`, String(value)],
    )
    const words = ["--import", "tsx", program, input, ...flags]
    const child = spawn(process.execPath, words, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
    for (const lines of [child.stdout, child.stderr]) {
      createInterface({ input: lines }).on("line", (line) => this.#hear(line))
    }
    child.on("close", (code) => {
      if (!this.#killed) this.failure = `the worker of ${input} ended with code ${code}`
    })
    return child
  }

  #hear(line: string): void {
    const [, version, stored] = /^version (\d+) holds the input up to byte (\d+)$/.exec(line) ?? []
    if (version === undefined) {
      this.#say(line)
    } else {
      this.version = Number(version)
      this.offset = Number(stored)
    }
  }
}
