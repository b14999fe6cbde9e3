import { expect, test } from "vitest"
import { Fifo } from "./fifo.ts"

test("fifo: does what an array does, through compaction", () => {
  const fifo = new Fifo<number>()
  const model: number[] = []
  let next = 0
  for (let step = 0; step < 20_000; step++) {
    // More in than out at first, then the other way, so that it grows long and runs empty.
    if (step % 10 < (step < 10_000 ? 7 : 2)) {
      fifo.push(next)
      model.push(next++)
    } else if (fifo.shift() !== model.shift()) throw new Error(`differs at step ${step}`)
    if (fifo.length !== model.length || fifo.first !== model[0]) throw new Error(`differs at step ${step}`)
    if (step % 4_999 === 0) {
      fifo.pushFront([-1, -2])
      model.unshift(-1, -2)
      fifo.filter((item) => item % 3 !== 0)
      model.splice(0, model.length, ...model.filter((item) => item % 3 !== 0))
    }
  }
  const seen: number[] = []
  fifo.push(7)
  model.push(7)
  fifo.forEach((item) => {
    seen.push(item)
  })
  expect(seen).toEqual(model)
  expect(fifo.takeAll()).toEqual(model)
  expect([fifo.length, fifo.shift(), fifo.first]).toEqual([0, undefined, undefined])
})
