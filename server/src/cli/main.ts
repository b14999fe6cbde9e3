// Entry of the command line: the real process as a terminal. The thread of a daemon's first shard is started before the
// rest is loaded: both load their modules at the same time.

import { startShardsAhead } from "../control/shard-worker.ts"
import { loadModule } from "../load-module.ts"
import { isServe } from "./is-serve.ts"
import type * as Program from "./program.ts"

// A reader that has had enough (`varve scan | head`) closes the pipe: that is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0)
  throw error
})

// The daemon tells of outdated versions of Node in its log; Amazon's SDK would on each thread, as text.
process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true"

const words = process.argv.slice(2)
if (isServe(words)) startShardsAhead(1)
const { runCommandLine } = await loadModule<typeof Program>("./program.ts", import.meta.url)

process.exitCode = await runCommandLine(words, {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  onInterrupt(act) {
    process.once("SIGINT", act)
    return () => void process.off("SIGINT", act)
  },
})
