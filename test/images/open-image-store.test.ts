// Images with real threads and a real directory: what jobs are given is copied, files are read where they are, and nothing
// is left open.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openImageStore } from "@varve/engines"
import { afterAll, beforeAll, expect, test } from "vitest"
import { bytesOfImage, region, regionBytes } from "./make-regions.ts"

let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "varve-images-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test("images: stored by threads from memory and from files, they come back, and the caller keeps its bytes", async () => {
  const path = join(directory, "dump")
  const whole = Buffer.from(regionBytes([1, 2, "z3", 3]))
  writeFileSync(path, whole)
  // A part of a larger buffer, as those that are cut from a pool.
  const part = whole.subarray(4096, 100_000)
  const images = await openImageStore({ repository: `file:${join(directory, "repository")}` })
  const { id, chunksNew } = await images.store("f", [
    { kind: "memory", bytes: part },
    { kind: "code", bytes: { path, offset: 4096, length: 95_904 } },
    region("other", 4),
  ])
  expect(chunksNew).toBeGreaterThan(3)
  expect(Buffer.compare(whole, readFileSync(path))).toBe(0)
  const loaded = await bytesOfImage(await images.load({ name: "f", id }))
  for (const bytes of loaded.slice(0, 2)) expect(Buffer.compare(bytes, part)).toBe(0)
  await images.loadTo({ name: "f", id }, join(directory, "back"))
  expect(Buffer.compare(readFileSync(join(directory, "back")), Buffer.concat(loaded))).toBe(0)
  await images.close()
  await images.close()
  expect(readdirSync(directory).sort()).toEqual(["back", "dump", "repository"])
  const again = await openImageStore({ repository: `file:${join(directory, "repository")}` })
  expect(await again.verify({ name: "f", id })).toMatchObject({
    bytes: loaded.reduce((sum, { length }) => sum + length, 0),
  })
  await again.close()
  await expect(openImageStore({ repository: "ftp://x" })).rejects.toMatchObject({
    reason: "REPOSITORY_URL_INVALID",
  })
})
