// What has to be ended when the benchmark is: processes and directories. Each is ended once, by whoever made it or
// by a signal, the newest first, so that a process is gone before its directory is.

type Ending = () => Promise<void> | void

const open = new Map<symbol, Ending>()
let isInterrupted = false

/** Remembers `end`; the function that it returns runs it and forgets it. A second call does nothing. */
export function ending(end: Ending): () => Promise<void> {
  const id = Symbol()
  open.set(id, end)
  return async () => {
    if (open.delete(id)) await end()
  }
}

/** Ctrl-C, a closed terminal or a request to stop ends everything that is open, then the process. */
export function endOnSignals(): void {
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      // A terminal and its shell may both send one.
      if (isInterrupted) return
      isInterrupted = true
      endAll().then(
        () => process.exit(codes[signal]),
        (error: unknown) => {
          process.stderr.write(`something was left behind: ${String(error)}\n`)
          process.exit(codes[signal])
        },
      )
    })
  }
}

/** Whether a signal is ending everything: whatever fails from then on fails because of it. */
export function interrupted(): boolean {
  return isInterrupted
}

async function endAll(): Promise<void> {
  for (const [id, end] of [...open].reverse()) {
    if (open.delete(id)) await end()
  }
}
