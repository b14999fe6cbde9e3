// Directories of the benchmark, under one of the system's temporary ones, and the end of everything in them.
//
//   main ── fork ──► scratch-keeper      removes the root when main is gone, however it went: tsx, which runs
//     │                                  main, kills it when it does not answer a signal within 30 ms
//     └─ makeScratch(name) ─► root/name-…

import { fork } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ending } from "./endings.ts"

export interface Scratch {
  readonly path: string
  remove(): Promise<void>
}

interface Root {
  readonly path: string
  /** Tells the keeper of a process that is to be killed when main is gone, or no longer. */
  tell(message: KeeperMessage): void
}

export type KeeperMessage = { readonly started: number } | { readonly ended: number }

let root: Root | undefined

/** A new directory for `name`; it is removed by `remove`, or when the benchmark is interrupted. */
export function makeScratch(name: string): Scratch {
  root ??= makeRoot()
  const path = mkdtempSync(join(root.path, `${name}-`))
  return { path, remove: ending(() => rmSync(path, { recursive: true, force: true, maxRetries: 3 })) }
}

/** Has the process killed when this one is gone; the function that it returns says that it has ended. */
export function killWithBenchmark(pid: number): () => void {
  root ??= makeRoot()
  const { tell } = root
  tell({ started: pid })
  return () => tell({ ended: pid })
}

/** Removes the root. The last thing that a benchmark does; without directories nothing happens. */
export async function removeScratchRoot(): Promise<void> {
  await endRoot()
}

let endRoot = async (): Promise<void> => undefined

function makeRoot(): Root {
  const path = mkdtempSync(join(tmpdir(), "varve-bench-"))
  const keeper = fork(new URL("./scratch-keeper.ts", import.meta.url), [path], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  })
  const gone = once(keeper, "exit")
  endRoot = ending(async () => {
    if (keeper.connected) keeper.disconnect()
    await gone
    rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  })
  return { path, tell: (message) => void (keeper.connected && keeper.send(message)) }
}
