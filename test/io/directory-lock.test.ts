// The lock of a directory between real processes.

import { type ChildProcessByStdio, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createInterface } from "node:readline"
import type { Readable, Writable } from "node:stream"
import { NodeFileSystem, releaseLockOfDeadThread } from "@varve/engines/internal"
import { afterEach, expect, test } from "vitest"
import { expectReason } from "./expect-error.ts"
import { temporaryDirectory } from "./temporary-directory.ts"

const root = temporaryDirectory()
const holderProgram = new URL("./lock-holder.mjs", import.meta.url).pathname
let directoryCount = 0

interface Starter {
  readonly process: ChildProcessByStdio<Writable, Readable, null>
  readonly answer: string
}

const starters: Starter[] = []

afterEach(async () => {
  for (const starter of starters.splice(0)) await kill(starter)
})

function newDirectory(): string {
  const path = `${root}/${++directoryCount}`
  mkdirSync(path)
  return path
}

/** Starts a process that tries to lock `directory`, and waits for its answer. */
async function start(directory: string): Promise<Starter> {
  const process_ = spawn(process.execPath, [holderProgram, directory], { stdio: ["pipe", "pipe", "inherit"] })
  const [answer] = (await once(createInterface(process_.stdout), "line")) as [string]
  const starter = { process: process_, answer }
  starters.push(starter)
  return starter
}

async function kill({ process: { exitCode, signalCode }, process: process_ }: Starter): Promise<void> {
  if (exitCode !== null || signalCode !== null) return
  const ended = once(process_, "exit")
  process_.kill("SIGKILL")
  await ended
}

/** A lock file as a process left it that no longer runs. */
function writeStaleLock(directory: string, name = "LOCK", change: object = {}): void {
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()
  // Process 1 runs, but it did not start at tick 1.
  const content = { pid: 1, bootId, startTicks: "1", token: `stale-${name}`, ...change }
  writeFileSync(`${directory}/${name}`, `${JSON.stringify(content)}\n`)
}

/** Number and start of this process, as its lock files have them. */
function identityOfThisProcess(): { pid: number; startTicks: string } {
  const stat = readFileSync("/proc/self/stat", "latin1")
  return { pid: process.pid, startTicks: stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]! }
}

test("a lock held by another process is refused, and the refusal names the process", async () => {
  const directory = newDirectory()
  const holder = await start(directory)
  expect(holder.answer).toBe("locked")
  const message = await expectReason(new NodeFileSystem().lock(directory), "DIRECTORY_LOCKED")
  expect(message).toContain(`process ${holder.process.pid}`)
  expect(message).toContain(directory)
})

test("a process is refused a lock that this one holds, until it is released", async () => {
  const directory = newDirectory()
  const lock = await new NodeFileSystem().lock(directory)
  expect((await start(directory)).answer).toContain(
    `DIRECTORY_LOCKED: ${directory} is in use by process ${process.pid}`,
  )
  await lock.release()
  expect((await start(directory)).answer).toBe("locked")
})

test("the lock of a killed process is taken over", async () => {
  const directory = newDirectory()
  await kill(await start(directory))
  expect(readdirSync(directory)).toEqual(["LOCK"])
  await new NodeFileSystem().lock(directory)
  expect(readdirSync(directory)).toEqual(["LOCK"])
  expect((await start(directory)).answer).toContain("DIRECTORY_LOCKED")
})

test("of processes that find the same stale lock exactly one wins", async () => {
  const directory = newDirectory()
  writeStaleLock(directory)
  const answers = (await Promise.all([1, 2, 3].map(() => start(directory)))).map(({ answer }) => answer)
  expect(answers.filter((answer) => answer === "locked")).toHaveLength(1)
  expect(answers.filter((answer) => answer.startsWith("DIRECTORY_LOCKED"))).toHaveLength(2)
})

test("of many calls that find the same stale lock exactly one wins, in every round", async () => {
  for (let round = 0; round < 50; round++) {
    const directory = newDirectory()
    writeStaleLock(directory)
    // Every third round a takeover was begun, too, by a process that died.
    if (round % 3 === 0) writeStaleLock(directory, "LOCK.takeover")
    const tries = Array.from({ length: 8 }, () => new NodeFileSystem().lock(directory))
    const results = await Promise.allSettled(tries)
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1)
    for (const result of results) {
      if (result.status === "rejected") expect(result.reason).toMatchObject({ reason: "DIRECTORY_LOCKED" })
    }
    await new NodeFileSystem().lock(directory).catch((error) => expect(error.reason).toBe("DIRECTORY_LOCKED"))
    expect(readdirSync(directory)).toEqual(["LOCK"])
  }
})

test("a lock is stale when its process has another start, its machine was booted since, or it is torn", async () => {
  const stale: ((directory: string) => void)[] = [
    (directory) => writeStaleLock(directory),
    (directory) =>
      writeStaleLock(directory, "LOCK", { ...identityOfThisProcess(), bootId: "an earlier boot" }),
    (directory) => writeStaleLock(directory, "LOCK", { pid: 2 ** 22 + 5 }),
    (directory) => writeFileSync(`${directory}/LOCK`, ""),
    (directory) => writeFileSync(`${directory}/LOCK`, "{}\n"),
    (directory) => writeFileSync(`${directory}/LOCK`, "\0\0\0\0"),
  ]
  for (const leave of stale) {
    const directory = newDirectory()
    leave(directory)
    const lock = await new NodeFileSystem().lock(directory)
    await expectReason(new NodeFileSystem().lock(directory), "DIRECTORY_LOCKED")
    await lock.release()
    expect(readdirSync(directory)).toEqual([])
  }
})

test("what starters left that died on the way is removed by the next holder", async () => {
  const directory = newDirectory()
  writeStaleLock(directory, "LOCK.dead-draft")
  writeStaleLock(directory, "LOCK.dead-draft.0")
  await new NodeFileSystem().lock(directory)
  expect(readdirSync(directory)).toEqual(["LOCK"])
})

test("the lock of a dead thread of this process can be taken off, that of another process cannot", async () => {
  const own = newDirectory()
  await new NodeFileSystem().lock(own)
  await expectReason(new NodeFileSystem().lock(own), "DIRECTORY_LOCKED")
  await releaseLockOfDeadThread(own)
  await (await new NodeFileSystem().lock(own)).release()
  await releaseLockOfDeadThread(own)
  const foreign = newDirectory()
  await start(foreign)
  await releaseLockOfDeadThread(foreign)
  await expectReason(new NodeFileSystem().lock(foreign), "DIRECTORY_LOCKED")
})
