// Answers leave in the order in which their places were taken.

import { deepStrictEqual, strictEqual } from "node:assert"
import { test } from "vitest"
import { AnswerOrder } from "./answer-order.ts"
import { encodeValueList } from "./value-list.ts"

test("answers: one that is ready waits for those before it", () => {
  const sent: string[] = []
  const order = new AnswerOrder<string>((answer) => sent.push(answer))
  strictEqual(order.isEmpty, true)
  const [first, second, third] = [order.take(), order.take(), order.take()]
  order.fill(third, "third")
  order.fill(second, "second")
  deepStrictEqual(sent, [])
  strictEqual(order.isEmpty, false)
  order.fill(first, "first")
  deepStrictEqual(sent, ["first", "second", "third"])
  strictEqual(order.isEmpty, true)
})

test("answers: every order of readiness gives the same order of answers", () => {
  const permutations = (items: number[]): number[][] =>
    items.length < 2
      ? [items]
      : items.flatMap((item) =>
          permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
        )
  for (const permutation of permutations([0, 1, 2, 3, 4])) {
    const sent: number[] = []
    const order = new AnswerOrder<number>((answer) => sent.push(answer))
    const slots = permutation.map(() => order.take())
    for (const index of permutation) order.fill(slots[index]!, index)
    deepStrictEqual(sent, [0, 1, 2, 3, 4])
  }
})

test("values: bytes are pinned, and the length is told before it is allocated", () => {
  const lengths: number[] = []
  const list = encodeValueList([Buffer.from("xyz"), undefined, new Uint8Array(200).fill(1)], (bytes) =>
    lengths.push(bytes),
  )
  deepStrictEqual(lengths, [4 + 1 + 202])
  deepStrictEqual(Buffer.from(list.subarray(0, 8)).toString("hex"), "0378797a00c80101")
})
