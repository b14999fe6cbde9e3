// Removes from `dist` of the package in the current folder what the compiler made of sources that are gone: it never
// removes anything itself, and what is in `dist` is packed. Run by `npm pack` and `npm publish`.

import { existsSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"

/** What the compiler makes of `name.ts`. */
const made = /\.(?:d\.ts|js)(?:\.map)?$/

for (const entry of readdirSync("dist", { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name)
  const source = path.replace(/^dist/, "src").replace(made, ".ts")
  if (entry.isFile() && made.test(path) && !existsSync(source)) rmSync(path, { force: true })
}
