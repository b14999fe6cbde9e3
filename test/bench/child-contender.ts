// A contender in a process of its own, so that nobody's heap, threads or caches weigh on another. The parent
// asks by message, the child answers with a figure.

import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import type { Contender } from "./rounds.ts"

interface Question {
  readonly measurement: string
  readonly round: number
}

type Answer = { readonly figure: number } | { readonly error: string }

/** What a child can do. `prepare` runs once, before the first round. */
export interface ChildWork {
  prepare(): Promise<void>
  measure(measurement: string, round: number): Promise<number>
  close(): Promise<void>
}

/** A contender whose child runs `module` with `words`; `close` ends the child. */
export interface ChildContender extends Contender {
  close(): Promise<void>
}

/** Starts a child and waits until it is prepared. */
export async function startContender(
  name: string,
  module: URL,
  words: readonly string[],
): Promise<ChildContender> {
  const child = fork(module, [...words], { stdio: ["ignore", "inherit", "inherit", "ipc"] })
  await ask(child, name, { measurement: "prepare", round: 0 })
  return {
    name,
    measure: (measurement, round) => ask(child, name, { measurement, round }),
    async close() {
      const exited = once(child, "exit")
      child.send({ measurement: "close", round: 0 })
      await exited
    },
  }
}

/** Answers the parent of this process until it says close. */
export function serveContender(work: ChildWork): void {
  process.on("message", ({ measurement, round }: Question) => {
    const done =
      measurement === "prepare"
        ? work.prepare().then(() => 0)
        : measurement === "close"
          ? work.close().then(() => 0)
          : work.measure(measurement, round)
    done.then(
      (figure) => {
        process.send?.({ figure } satisfies Answer)
        if (measurement === "close") process.disconnect()
      },
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? String(error.stack) : String(error) }),
    )
  })
  // A parent that is gone asks nothing more.
  process.on("disconnect", () => process.exit())
}

async function ask(child: ChildProcess, name: string, question: Question): Promise<number> {
  const answer = new Promise<Answer>((resolve) => {
    const onMessage = (message: unknown): void => settle(message as Answer)
    const onExit = (code: number | null): void => settle({ error: `ended with code ${code}` })
    const settle = (result: Answer): void => {
      child.off("message", onMessage).off("exit", onExit)
      resolve(result)
    }
    child.on("message", onMessage).on("exit", onExit)
  })
  child.send(question)
  const result = await answer
  if ("error" in result) throw new Error(`${name}, ${question.measurement}: ${result.error}`)
  return result.figure
}
