#!/usr/bin/env node
// Starts the command line. In a checkout that was not built yet, builds first.

import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

// The first process of a container gets no signal that nobody listens for. Until the daemon does, a stop ends it.
const exitCodes = { SIGTERM: 143, SIGINT: 130 }
if (process.pid === 1) {
  for (const [signal, code] of Object.entries(exitCodes))
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) process.exit(code)
    })
}

const server = dirname(dirname(fileURLToPath(import.meta.url)))
const main = join(server, "dist", "cli", "main.js")

if (!existsSync(main)) {
  const checkout = dirname(server)
  if (
    existsSync(join(server, "src", "index.ts")) &&
    existsSync(join(checkout, "node_modules", "typescript"))
  ) {
    process.stderr.write("varve: not built yet, building once (npm run build)\n")
    const { status } = spawnSync("npm", ["run", "--silent", "build"], {
      cwd: checkout,
      stdio: ["ignore", "inherit", "inherit"],
    })
    if (status !== 0) {
      process.stderr.write("varve: the build failed; run `npm ci` and `npm run build` in the checkout\n")
      process.exit(70)
    }
  } else {
    process.stderr.write(`varve: ${main} is missing; run \`npm ci\` and \`npm run build\` in the checkout\n`)
    process.exit(70)
  }
}

await import(pathToFileURL(main).href)
