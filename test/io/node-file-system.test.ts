// What only the real disk does: running full, writing short, and giving descriptors to the next file.

import { execFileSync } from "node:child_process"
import { constants, readdirSync, readFileSync, readlinkSync } from "node:fs"
import { NodeFileSystem } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { expectReason } from "./expect-error.ts"
import { temporaryDirectory } from "./temporary-directory.ts"

const root = temporaryDirectory()

test("a write to a full device is STORAGE_FULL, which may be tried again", async () => {
  const file = await new NodeFileSystem().open("/dev/full", "edit")
  const message = await expectReason(file!.write(new Uint8Array(10), 0), "STORAGE_FULL")
  expect(message).toContain("/dev/full")
  await file!.close()
})

test("a sync that failed is refused from then on, and is no error that heals by itself", async () => {
  // This device refuses to be synced.
  const file = await new NodeFileSystem().open("/dev/full", "edit")
  expect(await expectReason(file!.sync(), "STORAGE_FAILED")).toContain("may be lost")
  expect(await expectReason(file!.sync(), "STORAGE_FAILED")).toContain("earlier sync")
  await file!.close()
})

test("a synced write that failed ends writing, and no other write is tried", async () => {
  const file = await new NodeFileSystem().open("/dev/full", "edit-synced")
  await expectReason(file!.write(new Uint8Array(10), 0), "STORAGE_FULL")
  expect(await expectReason(file!.write(new Uint8Array(10), 0), "STORAGE_FAILED")).toContain("earlier write")
  await file!.close()
})

test.runIf(process.platform === "linux")("synced writes are made so by the system itself", async () => {
  const fileSystem = new NodeFileSystem()
  await (await fileSystem.open(`${root}/synced`, "create")).close()
  const file = await fileSystem.open(`${root}/synced`, "edit-synced")
  const descriptor = readdirSync("/proc/self/fd").find((name) => target(name) === `${root}/synced`)
  const [, flags] = /flags:\s+([0-7]+)/.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"))!
  expect(Number.parseInt(flags!, 8) & constants.O_DSYNC).toBe(constants.O_DSYNC)
  await file!.close()
})

/** What a descriptor of this process is open on; undefined when it is closed meanwhile. */
function target(descriptor: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`)
  } catch {
    return undefined
  }
}

test("a write that the system takes in part is a failure", () => {
  const path = `${root}/limited`
  const program = `
    import { NodeFileSystem } from "@varve/engines/internal"
    const file = await new NodeFileSystem().open(${JSON.stringify(path)}, "create")
    const error = await file.write(new Uint8Array(5000).fill(1), 0).catch((error) => error)
    process.stdout.write(String(error?.reason))`
  // A limit of 1024 bytes a file: the system writes that many, then refuses the rest.
  const shell = 'trap "" XFSZ; ulimit -f 1; exec "$0" --input-type=module -e "$1"'
  const options = { cwd: new URL("../..", import.meta.url), encoding: "utf8" } as const
  expect(execFileSync("bash", ["-c", shell, process.execPath, program], options)).toBe("STORAGE_FAILED")
  expect(readFileSync(path)).toHaveLength(1024)
})

test("close waits for calls under way: none of them meets the descriptor of another file", async () => {
  const fileSystem = new NodeFileSystem()
  const expected = new Uint8Array(1 << 20).fill(7)
  const seed = await fileSystem.open(`${root}/read`, "create")
  await seed.write(expected, 0)
  await seed.close()
  for (let round = 0; round < 20; round++) {
    const file = await fileSystem.open(`${root}/read`, "read")
    const targets = Array.from({ length: 8 }, () => new Uint8Array(1 << 20))
    const reads = targets.map((target) => file!.read(target, 0))
    const closing = file!.close()
    const others = [1, 2, 3].map((number) => fileSystem.open(`${root}/other-${round}-${number}`, "create"))
    expect(await Promise.all(reads)).toEqual(targets.map((target) => target.length))
    for (const target of targets) expect(Buffer.compare(target, expected)).toBe(0)
    await closing
    for (const other of others) await (await other).close()
  }
})

test("closed files leave no descriptor open", async () => {
  const fileSystem = new NodeFileSystem()
  const descriptors = (): number => readdirSync("/proc/self/fd").length
  const before = descriptors()
  for (let round = 0; round < 50; round++) {
    await fileSystem.makeDirectory(`${root}/d/${round}`)
    const file = await fileSystem.open(`${root}/d/${round}/f`, "create")
    await file.sync()
    await file.close()
    await fileSystem.syncDirectory(`${root}/d/${round}`)
  }
  expect(descriptors()).toBe(before)
})

test("a directory that the file system will never make is refused, at once", async () => {
  await expectReason(new NodeFileSystem().makeDirectory("/proc/varve/below"), "STORAGE_FAILED")
})
