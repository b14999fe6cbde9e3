// A process that tries to take the lock of a directory, says how it went, and lives until its input ends.

import { NodeFileSystem } from "@varve/engines/internal"

const [directory] = process.argv.slice(2)
try {
  await new NodeFileSystem().lock(directory)
  process.stdout.write("locked\n")
} catch (error) {
  process.stdout.write(`${error.reason}: ${error.message}\n`)
}
process.stdin.resume()
