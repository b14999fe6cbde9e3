// Many cold keys overwritten in one batch, on the real disk: their old records are compared behind the writer, and what
// the version says of them stays small.

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openEngine } from "@varve/engines"
import { expect, test } from "vitest"
import { bytes } from "./engine-fixture.ts"

test("a version made right behind a batch of overwrites of cold keys can be put back", async () => {
  const settings = {
    memSegmentLength: 4096,
    roLagInterval: 8192,
    flushInterval: 8 * 1024 * 1024,
    maxRunsPerLevel: 8,
  }
  const root = mkdtempSync(join(tmpdir(), "varve-review-"))
  try {
    const engine = await openEngine({
      engine: "hybrid-log",
      directory: join(root, "p"),
      repository: `file:${root}/r`,
      settings,
      valueBytesMax: 2048,
    })
    const batch = (from: number, to: number, v: string) =>
      Array.from({ length: to - from }, (_, i) => ({ key: bytes(`k${from + i}`), value: bytes(v) }))
    const N = 200_000
    for (let i = 0; i < N; i += 5000) await engine.write(batch(i, i + 5000, "a"))
    await engine.snapshot({ version: 1 })
    for (let i = 0; i < 12000; i++) await engine.set(bytes(`fill${i}`), Buffer.alloc(2000, 1))
    await engine.snapshot({ version: 2 })
    await new Promise((r) => setTimeout(r, 300))
    const written = engine.write(batch(0, 150_000, "b"))
    const snapshot = engine.snapshot({ version: 3 })
    snapshot.catch(() => undefined)
    await written
    await snapshot
    await engine.restore({ version: 3 })
    expect(Buffer.from((await engine.get(bytes("k77")))!).toString()).toBe("b")
    await engine.close()
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}, 100_000)
