// The process that cleans up behind the benchmark's: when the channel to it closes, what it started is killed and
// its directory removed.

import { rmSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { KeeperMessage } from "./scratch.ts"

/** Processes that still end may write until they are gone. */
const TRIES = 50
const TRY_MS = 100

const [directory] = process.argv.slice(2)
const pids = new Set<number>()

// A signal to the group is for the benchmark; this process ends after it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined)
process.on("message", (message: KeeperMessage) => {
  if ("started" in message) pids.add(message.started)
  else pids.delete(message.ended)
})
process.on("disconnect", () => {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL")
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
    }
  }
  void removeAll()
})

async function removeAll(): Promise<void> {
  for (let left = TRIES; left > 0; left--) {
    try {
      rmSync(directory!, { recursive: true, force: true })
      // A process that was on its way out may have made its directory anew; the next look says so.
      if (pids.size === 0) return
      await sleep(TRY_MS)
      pids.clear()
    } catch (error) {
      if (left === 1) throw error
      await sleep(TRY_MS)
    }
  }
}
