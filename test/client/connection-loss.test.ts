// What the client does when the connection breaks or the state is replaced: what it sends again, what it does not,
// and what it tells its caller.

import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { VarveError } from "@varve/client"
import { type PipelineRequest, RecordWriter } from "@varve/proto"
import { expect, onTestFinished, test } from "vitest"
import { MemoryDaemon } from "./memory-daemon.ts"
import { kindsOf } from "./memory-frames.ts"
import { open, pair, startMemoryDaemon } from "./pair.ts"
import { reasonOf } from "./reason-of.ts"
import { turns } from "./turns.ts"

/** Resolves when a frame arrives; it and all later ones then have the fate. */
function frameHeld(daemon: MemoryDaemon, fate: "hold" | "apply" = "hold"): Promise<PipelineRequest> {
  return new Promise((resolve) => {
    daemon.onFrame = (frame) => {
      resolve(frame)
      return fate
    }
  })
}

test("client: a read that was on its way when the connection broke is sent again", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.set("k", "v")
  const held = frameHeld(daemon)
  const read = state.get("k")
  await held
  daemon.onFrame = () => "answer"
  await daemon.restart()
  expect(String(await read)).toBe("v")
})

test("client: a write that was on its way when the connection broke is sent again, and applied once", async () => {
  for (const fate of ["apply", "hold"] as const) {
    const { daemon, state } = await pair({ partitionCount: 1 })
    await state.set("k", "0")
    const held = frameHeld(daemon, fate)
    const write = state.set("k", "1")
    await held
    const other = open(daemon.address)
    daemon.onFrame = () => "answer"
    await daemon.restart()
    if (fate === "apply") await other.set("k", "2")
    await write
    const [first, again] = daemon.frames.filter(({ work, sequence }) => work !== undefined && sequence === 2n)
    expect(again).toMatchObject({ session: first!.session, partition: 0, unanswered: 0, resent: true })
    expect(first!.resent).toBe(false)
    // What another client has written since is not overwritten by what was applied before.
    expect(daemon.valueOf("k")).toBe(fate === "apply" ? "2" : "1")
  }
})

test("client: without sessions a write that was on its way fails with CONNECTION_LOST, applied or not", async () => {
  for (const fate of ["apply", "hold"] as const) {
    const { daemon, state } = await pair({ partitionCount: 1 }, { sessions: false })
    await state.get("warm")
    const held = frameHeld(daemon, fate)
    const write = state.set("k", "v")
    await held
    daemon.onFrame = () => "answer"
    await daemon.restart()
    await expect(write).rejects.toMatchObject({
      reason: "CONNECTION_LOST",
      retryable: true,
      message: expect.stringContaining("may or may not have been applied"),
    })
    expect(String(await state.get("k"))).toBe(fate === "apply" ? "v" : "undefined")
  }
})

test("client: of a frame that may be applied all is sent again, or nothing", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.get("warm")
  const held = frameHeld(daemon)
  const abort = new AbortController()
  const calls = [reasonOf(state.set("a", "1", { signal: abort.signal })), reasonOf(state.set("b", "2"))]
  const first = await held
  abort.abort()
  daemon.onFrame = () => "answer"
  await daemon.restart()
  expect(await Promise.all(calls)).toEqual(["CANCELLED", "none"])
  const again = daemon.frames.find(({ resent }) => resent)
  expect(again?.work).toEqual(first.work)
  const heldAgain = frameHeld(daemon)
  const late = reasonOf(state.set("c", "3", { deadlineMs: 60 }))
  await heldAgain
  daemon.stop()
  expect(await late).toBe("DEADLINE_PASSED")
  daemon.onFrame = () => "answer"
  await daemon.start()
  await state.set("d", "4")
  expect(daemon.valueOf("c")).toBeUndefined()
  expect(daemon.frames.at(-1)).toMatchObject({ sequence: 3n, unanswered: 0, resent: false })
})

test("client: frames that come back because they were out of order are sent again in order, on the same stream", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.set("k", "0")
  const outOfOrder = new VarveError("FRAME_OUT_OF_ORDER", "send them in order")
  let refusals = 0
  daemon.onFrame = ({ sequence }) => (sequence > 1n && refusals++ < 2 ? outOfOrder : "answer")
  const describes = daemon.calls.filter((name) => name === "describe").length
  const calls = [state.set("k", "1"), state.get("k"), state.set("k", "2"), state.get("k")]
  expect((await Promise.all(calls)).map(String)).toEqual(["undefined", "1", "undefined", "2"])
  expect(daemon.calls.filter((name) => name === "describe").length).toBe(describes)
})

test("client: a daemon that does not know what came of a write says so, and the client goes on", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.set("k", "0")
  const held = frameHeld(daemon)
  const write = reasonOf(state.set("k", "1"))
  await held
  daemon.onFrame = ({ resent }) => (resent ? new VarveError("SESSION_EXPIRED", "forgotten") : "answer")
  await daemon.restart()
  expect(await write).toBe("SESSION_EXPIRED")
  await state.set("k", "2")
  expect(daemon.valueOf("k")).toBe("2")
})

test("client: what was on its way follows its partition to where it is now", async () => {
  const { daemon: first } = await pair({ partitionCount: 1 })
  const second = await startMemoryDaemon({ partitionCount: 1 })
  first.elsewhere = second.address
  const state = open(first.address)
  await state.set("k", "0")
  expect(second.valueOf("k")).toBe("0")
  const held = frameHeld(second)
  const calls = [state.set("k", "1")]
  await held
  calls.push(state.set("l", "2", { ifAbsent: true }))
  first.elsewhere = undefined
  second.stop()
  await Promise.all(calls)
  expect([first.valueOf("k"), first.valueOf("l")]).toEqual(["1", "2"])
  expect(first.frames.map(({ sequence }) => sequence)).toEqual([2n, 3n])
  expect(first.frames[0]!.resent).toBe(true)
})

test("client: no more than 64 frames of writes are without an answer", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.set("k", "0")
  daemon.onFrame = () => "hold"
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`)
  const calls = keys.map((key) => state.set(key, key, { ifAbsent: true }))
  while (daemon.frames.filter(({ sequence }) => sequence > 1n).length < 64) await turns()
  await turns()
  expect(daemon.frames.at(-1)).toMatchObject({ sequence: 65n, unanswered: 63 })
  daemon.onFrame = () => "answer"
  await daemon.restart()
  await Promise.all(calls)
  expect(keys.map((key) => daemon.valueOf(key))).toEqual(keys)
})

test("client: a write that was never sent is sent to the daemon that comes back, once, in order", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.set("k", "0")
  daemon.stop()
  await turns()
  daemon.frames.length = 0
  const calls = [state.set("k", "1"), state.get("k"), state.set("k", "2"), state.get("k")]
  await turns()
  await daemon.start()
  expect((await Promise.all(calls)).map(String)).toEqual(["undefined", "1", "undefined", "2"])
  expect(daemon.frames.map(kindsOf)).toEqual(["wrwr"])
})

test("client: a write given up before it was sent is not applied later", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.set("a", "0")
  daemon.stop()
  await turns()
  const abort = new AbortController()
  const calls = [
    reasonOf(state.set("a", "late", { deadlineMs: 40 })),
    reasonOf(state.set("b", "kept")),
    reasonOf(state.set("c", "aborted", { signal: abort.signal })),
    reasonOf(
      state.write(
        [
          { key: "d", value: "1" },
          { key: "e", value: "2" },
        ],
        { signal: abort.signal },
      ),
    ),
    reasonOf(state.set("f", "kept too")),
  ]
  await calls[0]
  abort.abort()
  await daemon.start()
  expect(await Promise.all(calls)).toEqual(["DEADLINE_PASSED", "none", "CANCELLED", "CANCELLED", "none"])
  const values = ["a", "b", "c", "d", "e", "f"].map((key) => daemon.valueOf(key))
  expect(values).toEqual(["0", "kept", undefined, undefined, undefined, "kept too"])
})

test("client: what a daemon going down did not take goes to the one that comes back, writes too", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.set("k", "0")
  const goingDown = new VarveError("SHUTTING_DOWN", "going down")
  daemon.onFrame = () => goingDown
  daemon.onCall = () => {
    throw goingDown
  }
  daemon.frames.length = 0
  const twice = (value: string) => state.write([1, 2].map((n) => ({ key: `${n}`, value })))
  const calls = [twice("1"), state.get("1"), twice("2"), state.get("2")]
  // The last read gathers behind the others.
  while (daemon.frames.length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
  daemon.onFrame = () => "answer"
  daemon.onCall = () => undefined
  await daemon.restart()
  expect((await Promise.all(calls)).map(String)).toEqual(["undefined", "1", "undefined", "2"])
})

test("client: what is sent again goes before what was never sent", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.set("k", "0")
  daemon.frames.length = 0
  // The write comes back, the read hangs: what is called next is not sent any more.
  daemon.onFrame = ({ work }) =>
    work?.$case === "conditionalWrites" ? new VarveError("SHUTTING_DOWN", "going down") : "hold"
  const calls: Promise<unknown>[] = [state.set("k", "1", { ifValue: "0" }), state.get("k")]
  while (daemon.frames.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  await turns()
  calls.push(state.set("k", "2"), state.get("k"), state.set("other", "3"))
  await turns()
  expect(daemon.frames.length).toBe(2)
  daemon.onFrame = () => "answer"
  await daemon.restart()
  expect((await Promise.all(calls)).map(String)).toEqual(["undefined", "1", "undefined", "2", "undefined"])
  expect(daemon.valueOf("k")).toBe("2")
})

test("client: many callers through several cuts: every write that was answered is there", async () => {
  const { daemon, state } = await pair({ partitionCount: 4 })
  const answered = new Map<string, string>()
  const unsure = new Set<string>()
  let stop = false
  const caller = async (name: number): Promise<void> => {
    for (let n = 0; !stop; n++) {
      const key = `key-${name}`
      try {
        await state.set(key, `${n}`)
        answered.set(key, `${n}`)
        unsure.delete(key)
        expect(String(await state.get(key))).toBe(`${n}`)
      } catch (error) {
        if (!(error instanceof VarveError) || error.reason !== "CONNECTION_LOST") throw error
        unsure.add(key)
      }
    }
  }
  const callers = Array.from({ length: 20 }, (_, name) => caller(name))
  for (let cut = 0; cut < 5; cut++) {
    await new Promise((resolve) => setTimeout(resolve, 40))
    await daemon.restart()
  }
  await turns()
  stop = true
  await Promise.all(callers)
  expect(answered.size).toBe(20)
  for (const [key, value] of answered) {
    if (!unsure.has(key)) expect(daemon.valueOf(key)).toBe(value)
  }
})

test("client: calls to a store that comes back with other partitions fail, each told its fate; later ones go", async () => {
  const { daemon, state } = await pair({ partitionCount: 4 })
  await state.set("k", "v")
  const held = frameHeld(daemon)
  const sent = reasonOf(state.set("k", "u"))
  await held
  daemon.stop()
  await turns()
  const waiting = reasonOf(state.set("k", "w"))
  const other = new MemoryDaemon({ partitionCount: 2 })
  onTestFinished(() => other.stop())
  other.port = daemon.port
  await other.start()
  expect(await waiting).toBe("WRONG_PARTITION")
  expect(await sent).toBe("SESSION_EXPIRED")
  await state.set("k", "x")
  expect(other.valueOf("k")).toBe("x")
})

test("client: a snapshot that was on its way when the connection broke is not made again", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.set("k", "v")
  const arrived = new Promise<void>((resolve) => {
    daemon.onCall = (name) => {
      if (name !== "snapshot") return undefined
      resolve()
      return new Promise(() => undefined)
    }
  })
  const snapshot = state.snapshot({ version: 1 })
  await arrived
  await daemon.restart()
  await expect(snapshot).rejects.toMatchObject({ reason: "CONNECTION_LOST", retryable: true })
  expect(daemon.calls.filter((name) => name === "snapshot").length).toBe(1)
})

test("client: an answer that fits no key, or not the frame, is an error and not a hang", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.get("warm")
  daemon.onFrame = () => new VarveError("", "no reason given")
  expect(await reasonOf(state.get("k"))).toBe("INTERNAL")
  daemon.onFrame = (frame) => {
    frame.work = { $case: "operations", value: new Uint8Array(0) }
    return "answer"
  }
  expect(await reasonOf(state.get("k"))).toBe("INTERNAL")
  expect(await reasonOf(state.getMany(["k", "l"]))).toBe("INTERNAL")
  daemon.onFrame = (frame) => {
    frame.work = { $case: "reads", value: new Uint8Array(0) }
    return "answer"
  }
  expect(await reasonOf(state.set("k", "v"))).toBe("INTERNAL")
  const two = new RecordWriter()
  for (const key of ["k", "k"]) two.addRead(Buffer.from(key))
  const twoKeys = two.take()
  daemon.onFrame = (frame) => {
    frame.work = { $case: "operations", value: twoKeys }
    return "answer"
  }
  // The value is there, and bytes behind it: the daemon and this client do not agree on what was asked.
  expect(await reasonOf(state.get("k"))).toBe("INTERNAL")
  daemon.onFrame = () => "answer"
  await state.set("k", "v")
  daemon.onFrame = (frame) => {
    frame.work = { $case: "writes", value: new Uint8Array(0) }
    return "answer"
  }
  expect(await reasonOf(state.getMany(["k"]))).toBe("INTERNAL")
})

test("client: a closed client keeps no process alive, with calls pending and the daemon gone", async () => {
  const { daemon } = await pair({ partitionCount: 1 })
  const script = `
    import { connect } from "@varve/client"
    const state = connect(process.argv[1])
    await state.set("k", "v")
    const gone = connect("127.0.0.1:1", { backoffFirstMs: 2 ** 31 - 1, backoffMaxMs: 2 ** 31 - 1 })
    const pending = [gone.get("k"), gone.snapshot({ version: 1 }), gone.describe()]
    const failed = Promise.allSettled(pending)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await Promise.all([state.close(), gone.close()])
    console.log((await failed).map(({ reason }) => reason.reason).join(" "))
  `
  const folder = new URL("../../client", import.meta.url)
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "-e", script, daemon.address],
    { cwd: folder, timeout: 20_000 },
  )
  expect(stdout.trim()).toBe("CLIENT_CLOSED CLIENT_CLOSED CLIENT_CLOSED")
})
