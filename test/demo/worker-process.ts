// A worker as the demo sees it: a process that can be killed and started anew, and what it last told.

import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { WorkerMessage, WorkerTask } from "./messages.ts"

const module = fileURLToPath(new URL("./worker.ts", import.meta.url))

/** What the errors that end a worker's round mean in this demo. */
const causes: Readonly<Record<string, string>> = {
  CONNECTION_LOST: "lost the daemon",
  STATE_REPLACED: "was refused, its state is no longer the one that is served",
}

export class WorkerProcess {
  readonly #task: WorkerTask
  readonly #say: (line: string) => void
  #process: ChildProcess
  #killed = false
  /** Words counted when the worker last told, and the version that holds them. */
  words = 0
  version = 0
  /** Whether the whole share is counted. */
  counted = false
  wordsCountedAgain = 0
  /** Why the worker ended, when nobody killed it. */
  failure: string | undefined

  /** Starts the worker at once. */
  constructor(task: WorkerTask, say: (line: string) => void) {
    this.#task = task
    this.#say = say
    this.#process = this.#fork()
  }

  /** Starts a new process, which knows nothing of the one before. */
  start(): void {
    this.#killed = false
    this.#process = this.#fork()
  }

  /** Ends the worker without warning. */
  async kill(): Promise<void> {
    const child = this.#process
    this.#killed = true
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    await exited
  }

  #fork(): ChildProcess {
    const child = fork(module, [JSON.stringify(this.#task)])
    child.on("message", (message) => this.#hear(message as WorkerMessage))
    child.on("exit", (code) => {
      if (!this.#killed) this.failure = `worker ${this.#task.partition} ended with code ${code}`
    })
    return child
  }

  #hear(message: WorkerMessage): void {
    const { version, position } = message
    if (message.kind === "begins") {
      const again = this.words - position.words
      this.#say(
        `worker ${this.#task.partition}  ${causes[message.because] ?? message.because}: ` +
          (version === 0
            ? "no version yet, begins with the first word"
            : `version ${version} is back, goes on behind word ${position.words}` +
              (again > 0 ? ` (${again} to count again)` : "")),
      )
      if (again > 0) this.wordsCountedAgain += again
    }
    this.words = position.words
    this.version = version
    this.counted = message.kind === "counted"
  }
}
