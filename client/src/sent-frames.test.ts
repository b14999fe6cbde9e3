import { expect, test } from "vitest"
import { Frame } from "./frame.ts"
import type { Lane } from "./lane.ts"
import { SentFrames } from "./sent-frames.ts"

function frame(sequence: number): Frame {
  const made = new Frame({} as Lane, "operations")
  made.order = sequence
  return made
}

test("sent frames: an id belongs to one frame until that is taken, and is never zero", () => {
  const sent = new SentFrames()
  const model = new Map<number, Frame>()
  for (let step = 1; step <= 2_000; step++) {
    if (step % 3 !== 0 || model.size === 0) {
      const added = frame(step)
      const id = sent.add(added)
      if (id < 1 || model.has(id)) throw new Error(`id ${id} was given twice at step ${step}`)
      model.set(id, added)
    } else {
      // Answers come in any order between partitions.
      const id = [...model.keys()][(step * 7) % model.size]!
      expect(sent.take(id)).toBe(model.get(id))
      expect(sent.take(id)).toBeUndefined()
      model.delete(id)
    }
    expect(sent.size).toBe(model.size)
  }
  const inOrder = [...model.values()].sort((a, b) => a.order - b.order)
  expect(sent.inOrder()).toEqual(inOrder)
  expect(sent.takeAll()).toEqual(inOrder)
  expect(sent.size).toBe(0)
  expect(sent.take(1)).toBeUndefined()
})

test("sent frames: ids that no frame has are nobody's", () => {
  const sent = new SentFrames()
  const id = sent.add(frame(1))
  for (const other of [0, id + 1, id - 1, id + 2 ** 24, 2 ** 32 - 1]) expect(sent.take(other)).toBeUndefined()
  expect(sent.size).toBe(1)
})

test("sent frames: an id that was answered is not that of the frames behind it", () => {
  const sent = new SentFrames()
  const answered: number[] = []
  for (let step = 0; step < 600; step++) {
    const id = sent.add(frame(step))
    for (const old of answered.slice(-254)) expect(sent.take(old)).toBeUndefined()
    expect(id > 0 && id < 2 ** 32).toBe(true)
    expect(sent.take(id)?.order).toBe(step)
    answered.push(id)
  }
})
