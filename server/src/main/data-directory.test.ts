import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EngineError } from "@varve/engines"
import { NodeFileSystem } from "@varve/engines/internal"
import { afterEach, beforeEach, expect, test } from "vitest"
import { SettingsError } from "../config/settings.ts"
import { takeDataDirectory } from "./data-directory.ts"

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-data-directory-"))
})

afterEach(() => rm(directory, { recursive: true, force: true }))

async function refusalOf(path: string): Promise<Error> {
  try {
    const lock = await takeDataDirectory(new NodeFileSystem(), path)
    await lock.release()
  } catch (error) {
    return error as Error
  }
  throw new Error(`${path} was taken`)
}

test("data directory: what can be none is a refused setting, with the way out", async () => {
  const file = join(directory, "file")
  await writeFile(file, "")
  const cases = [
    [file, "is no directory", "EEXIST"],
    [join(file, "below"), "is below something that is no directory", "ENOTDIR"],
    [join(directory, "n".repeat(300)), "is too long a name", "ENAMETOOLONG"],
  ] as const
  for (const [path, words, code] of cases) {
    const error = await refusalOf(path)
    expect(error).toBeInstanceOf(SettingsError)
    expect(error.message).toBe(
      `dataDir: ${path} ${words}: give another directory (--data-dir DIR); the system says ${code}`,
    )
  }
})

function failingWith(reason: "STORAGE_FULL" | "STORAGE_FAILED", code: string) {
  const cause = Object.assign(new Error("for the test"), { code })
  const failure = new EngineError(reason, "for the test", { cause })
  return { failure, makeDirectory: () => Promise.resolve(), lock: () => Promise.reject(failure) }
}

test("data directory: one that the user may not write is a refused setting", async () => {
  const taken = takeDataDirectory(failingWith("STORAGE_FAILED", "EACCES"), directory)
  await expect(taken).rejects.toThrow(SettingsError)
  await expect(taken).rejects.toThrow(/may not be made or written by this user.*--data-dir DIR/)
})

test("data directory: a full or broken disk is no setting", async () => {
  for (const [reason, code] of [
    ["STORAGE_FULL", "ENOSPC"],
    ["STORAGE_FAILED", "EIO"],
  ] as const) {
    const fileSystem = failingWith(reason, code)
    await expect(takeDataDirectory(fileSystem, directory)).rejects.toBe(fileSystem.failure)
  }
})

test("data directory: a lock that is held names its holder and the ways out", async () => {
  const lock = await takeDataDirectory(new NodeFileSystem(), join(directory, "made"))
  const error = await refusalOf(join(directory, "made"))
  expect(error).toMatchObject({ reason: "DIRECTORY_LOCKED" })
  expect(error.message).toMatch(/in use by this process.*: stop that process, or give another directory/)
  await lock.release()
})
