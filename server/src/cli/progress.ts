// A sign of life for work that takes long: on a terminal only, on stderr, gone when the work is done.

import type { Terminal } from "./terminal.ts"

/** Shows `text` while `work` runs. */
export async function withProgress<Result>(
  { stderr }: Terminal,
  text: string,
  work: () => Promise<Result>,
): Promise<Result> {
  if (stderr.isTTY !== true) return await work()
  const { default: ora } = await import("ora")
  const spinner = ora({ text, stream: stderr, discardStdin: false }).start()
  try {
    return await work()
  } finally {
    spinner.stop()
  }
}
