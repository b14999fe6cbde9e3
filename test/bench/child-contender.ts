// A contender in a process of its own, so that nobody's heap, threads or caches weigh on another. The parent
// asks by message, the child answers. Every child is started the same way.

import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { ending } from "./endings.ts"
import { killWithBenchmark } from "./scratch.ts"

interface Question {
  readonly measurement: string
  readonly round: number
}

type Answer = { readonly figures: unknown } | { readonly error: string }

/** What a child can do: `prepare` once, before the first round; `measure` answers plain data. */
export interface ChildWork {
  prepare(): Promise<unknown>
  measure(measurement: string, round: number): Promise<unknown>
  close(): Promise<void>
}

/** The parent's end of a child. */
export interface Child {
  readonly name: string
  /** What `prepare` answered. */
  readonly prepared: unknown
  measure(measurement: string, round: number): Promise<unknown>
  /** Lets the child close what it has, and waits until it is gone. */
  close(): Promise<void>
}

/** The same for all: room for ten million small objects on the heap, and a collection when one is asked for. */
const FLAGS = ["--max-old-space-size=12288", "--expose-gc"]

/** Starts a child that runs `module` with `words` and waits until it is prepared. @param nodeFlags of Node, more of them */
export async function startChild(
  name: string,
  module: URL,
  words: readonly string[],
  nodeFlags: readonly string[] = [],
): Promise<Child> {
  const child = fork(module, [...words], {
    execArgv: [...process.execArgv, ...FLAGS, ...nodeFlags],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  })
  const exited = once(child, "exit")
  const ended = killWithBenchmark(child.pid!)
  const kill = ending(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL")
      await exited
    }
    ended()
  })
  try {
    const prepared = await ask(child, name, { measurement: "prepare", round: 0 })
    return {
      name,
      prepared,
      measure: (measurement, round) => ask(child, name, { measurement, round }),
      async close() {
        if (child.connected) await ask(child, name, { measurement: "close", round: 0 })
        if (child.connected) child.disconnect()
        await exited
        await kill()
      },
    }
  } catch (error) {
    await kill()
    throw error
  }
}

/** Answers the parent of this process. The process ends when its parent is gone. */
export function serveParent(work: ChildWork): void {
  process.on("message", ({ measurement, round }: Question) => {
    const done =
      measurement === "prepare"
        ? work.prepare()
        : measurement === "close"
          ? work.close()
          : work.measure(measurement, round)
    done.then(
      (figures) => process.send?.({ figures } satisfies Answer),
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? String(error.stack) : String(error) }),
    )
  })
  // The terminal's Ctrl-C reaches this process too: the parent decides.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined)
  process.on("disconnect", () => process.exit())
}

async function ask(child: ChildProcess, name: string, question: Question): Promise<unknown> {
  const answer = new Promise<Answer>((resolve) => {
    const onMessage = (message: unknown): void => settle(message as Answer)
    const onExit = (code: number | null, signal: string | null): void =>
      settle({ error: `ended with ${code ?? signal}` })
    const settle = (result: Answer): void => {
      child.off("message", onMessage).off("exit", onExit)
      resolve(result)
    }
    child.on("message", onMessage).on("exit", onExit)
  })
  child.send(question)
  const result = await answer
  if ("error" in result) throw new Error(`${name}, ${question.measurement}: ${result.error}`)
  return result.figures
}
