// A sender whose frames may come twice lives through crashes: the machine stops at calls to the disk all through a life
// with frames of a session, versions, a restore and a clean stop. What comes up knows exactly the frames whose records
// it has: a frame that it has is not applied again, and one that it has not is applied, or refused for good. Under
// durability `log` every frame that was answered is there.

import { type Engine, type EngineName, engineNames, type SequencedFrame } from "@varve/engines"
import { encodeRecords } from "@varve/proto"
import { expect, test } from "vitest"
import { SimulatedCrash, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { afterKill, afterPowerLoss, bytes, contents, openDurable, openTiny } from "./engine-fixture.ts"

const session = Buffer.from("0123456789abcdef")
/** Frames on their way at a time. */
const IN_FLIGHT = 4

/** What a sender knows. */
class Sender {
  /** The newest frame that was sent. */
  last = 0
  readonly answered = new Set<number>()
  /** Frames that were answered and may be gone: a restore was asked for that does not have them. */
  readonly givenUp = new Set<number>()

  place(sequence: number, resent: boolean): SequencedFrame {
    const unanswered = Array.from({ length: Math.min(63, sequence - 1) }, (_, i) => sequence - 1 - i)
    const open = unanswered.filter((each) => !this.answered.has(each))
    return { session, sequence, unanswered: sequence - Math.min(sequence, ...open), resent }
  }

  /** Sends a frame; whether it was applied. @throws what is no answer to it */
  async send(engine: Engine, sequence: number, resent = false): Promise<boolean> {
    const records = [
      { key: bytes(`frame:${sequence}`), value: bytes("sent") },
      { key: bytes("newest"), value: bytes(String(sequence)) },
      { key: bytes(`filler:${sequence % 40}`), value: Buffer.alloc(1 + ((sequence * 37) % 200), 65) },
    ]
    // Some are refused, and some have a condition that holds when the frame is applied for the first time only.
    const isTooLarge = sequence % 11 === 0
    if (isTooLarge) records.push({ key: bytes("large"), value: Buffer.alloc(3000) })
    const expected =
      sequence % 5 === 0
        ? encodeRecords([{ key: bytes(`frame:${sequence}`), value: Buffer.alloc(0) }])
        : undefined
    try {
      await engine.writeEncoded(encodeRecords(records), expected, this.place(sequence, resent)).pending
      this.answered.add(sequence)
      return true
    } catch (error) {
      const { reason } = error as { reason?: string }
      if (!["VALUE_TOO_LARGE", "FRAME_REFUSED", "CONDITION_FAILED"].includes(String(reason))) throw error
      this.answered.add(sequence)
      return false
    }
  }
}

async function live(engine: Engine, sender: Sender): Promise<void> {
  const write = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += IN_FLIGHT) {
      const sent = Array.from({ length: IN_FLIGHT }, () => sender.send(engine, ++sender.last))
      for (const settled of await Promise.allSettled(sent))
        if (settled.status === "rejected") throw settled.reason
    }
  }
  await write(24)
  await engine.snapshot({ version: 1 })
  const kept = sender.last
  await write(20)
  await engine.snapshot({ version: 2 })
  await write(8)
  for (let each = kept + 1; each <= sender.last; each++) sender.givenUp.add(each)
  await engine.restore({ version: 1 })
  await write(16)
  await engine.snapshot({ version: 3 })
  await write(8)
  await engine.close()
}

async function framesOf(engine: Engine): Promise<{ frames: Map<number, string>; newest: number }> {
  const all = await contents(engine)
  const frames = [...all].filter(([key]) => key.startsWith("frame:"))
  return {
    frames: new Map(frames.map(([key, value]) => [Number(key.slice(6)), value])),
    newest: Number(all.get("newest") ?? 0),
  }
}

async function check(engine: Engine, sender: Sender, isDurable: boolean): Promise<void> {
  const { frames, newest } = await framesOf(engine)
  expect(newest).toBe(Math.max(0, ...frames.keys()))
  if (isDurable) {
    const refused = (each: number): boolean => each % 11 === 0
    const owed = [...sender.answered].filter((each) => !refused(each) && !sender.givenUp.has(each))
    for (const each of owed) expect([...frames.keys()], `frame ${each} was answered`).toContain(each)
  }
  // What was answered and is gone was in a state that is gone: its sender would not send it again.
  const lost = [...sender.answered].filter((each) => !frames.has(each))
  for (let copy = 0; copy < 2; copy++) {
    const before = new Set((await framesOf(engine)).frames.keys())
    for (const each of before) await engine.set(bytes(`frame:${each}`), bytes("touched"))
    for (let each = Math.max(1, sender.last - 40); each <= sender.last; each++) {
      if (lost.includes(each) && each > newest) continue
      const isApplied = await sender.send(engine, each, true)
      if (before.has(each)) expect(isApplied, `frame ${each} is there`).toBe(true)
    }
    const after = await framesOf(engine)
    for (const each of before) expect(after.frames.get(each), `frame ${each} comes again`).toBe("touched")
    if (copy === 1) expect([...after.frames.keys()].sort()).toEqual([...before].sort())
    expect(after.newest).toBe(Math.max(0, ...after.frames.keys()))
  }
}

async function reopened(name: EngineName, seams: SimulatedSeams, isDurable: boolean): Promise<Engine> {
  const engine = await (isDurable ? openDurable : openTiny)(name, seams)
  if (engine.recovery !== "crashed") return engine
  const versions = await engine.listVersions()
  if (versions.length > 0) await engine.restore({ newest: true })
  return engine
}

const lives = engineNames.flatMap((name) =>
  (["snapshot", "log"] as const).map((durability) => [name, durability] as const),
)

test.each(lives)(
  "%s, %s: crashes, and the sender sends again",
  { timeout: 60_000 },
  async (name, durability) => {
    const isDurable = durability === "log"
    const liveUntil = async (seams: SimulatedSeams): Promise<Sender> => {
      const sender = new Sender()
      try {
        await live(await (isDurable ? openDurable : openTiny)(name, seams), sender)
      } catch (error) {
        if (!(error instanceof SimulatedCrash) && !seams.fileSystem.isCrashed) throw error
      }
      return sender
    }
    const dry = simulatedSeams(1)
    expect((await liveUntil(dry)).last).toBe(76)
    const stepCount = dry.fileSystem.steps
    for (let step = 5; step <= stepCount + 1; step += Math.ceil(stepCount / 24)) {
      const seams = simulatedSeams(1)
      seams.fileSystem.crashAt(step)
      const sender = await liveUntil(seams)
      const next = (step % 2 === 0 ? afterKill : afterPowerLoss)(seams, step)
      try {
        const engine = await reopened(name, next, isDurable)
        await check(engine, sender, isDurable)
        await engine.close()
      } catch (error) {
        throw new Error(`${name}, ${durability}, stopped at step ${step}: ${(error as Error).message}`, {
          cause: error,
        })
      }
    }
  },
)
