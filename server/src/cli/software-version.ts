// The version of this package, as its package.json has it.

import { readFileSync } from "node:fs"

/** `0.1.0` */
export function softwareVersion(): string {
  // From dist/cli and src/cli alike, package.json lies two folders up.
  const path = new URL("../../package.json", import.meta.url)
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version
}
