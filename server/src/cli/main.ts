// Entry of the command line: the real process as a terminal.

import { runCommandLine } from "./program.ts"

// A reader that has had enough (`varve scan | head`) closes the pipe: that is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0)
  throw error
})

// The daemon tells of outdated versions of Node in its log; Amazon's SDK would on each thread, as text.
process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true"

process.exitCode = await runCommandLine(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  onInterrupt(act) {
    process.once("SIGINT", act)
    return () => void process.off("SIGINT", act)
  },
})
