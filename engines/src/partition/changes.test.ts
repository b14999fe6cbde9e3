import { deepStrictEqual, strictEqual } from "node:assert"
import { test } from "vitest"
import { Changes, type Written } from "./changes.ts"

const written = (recordsWritten: number, bytesWritten: number): Written => ({ recordsWritten, bytesWritten })

test("changes: what came before the opening counts until a version is committed", () => {
  const changes = new Changes({ sealedMs: 1000, records: 5, bytes: 50 })
  deepStrictEqual(changes.since(written(2, 20)), { sealedMs: 1000, records: 7, bytes: 70 })
  changes.committed(2000, written(2, 20))
  deepStrictEqual(changes.since(written(2, 20)), { sealedMs: 2000, records: 0, bytes: 0 })
  strictEqual(changes.sealedMs, 2000)
})

test("changes: at a moment before the newest version's seal nothing is new", () => {
  const changes = new Changes({ sealedMs: 1000, records: 5, bytes: 50 })
  changes.committed(2000, written(3, 30))
  deepStrictEqual(changes.since(written(2, 20)), { sealedMs: 2000, records: 0, bytes: 0 })
})

test("changes: what is written between a seal and its commit is not in the version", () => {
  const changes = new Changes()
  const sealed = written(10, 100)
  deepStrictEqual(changes.since(written(13, 130)), { sealedMs: 0, records: 13, bytes: 130 })
  changes.committed(3000, sealed)
  deepStrictEqual(changes.since(written(14, 140)), { sealedMs: 3000, records: 4, bytes: 40 })
})
