// A directory for one test file, removed afterwards.

import { mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"

/**
 * Makes a directory under the system's temporary one; it goes when the tests of this file have run. For the top of a
 * file.
 */
export function temporaryDirectory(): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "varve-test-")))
  afterAll(() => rmSync(path, { recursive: true, force: true }))
  return path
}
