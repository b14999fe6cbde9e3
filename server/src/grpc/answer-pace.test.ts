import { deepStrictEqual, strictEqual } from "node:assert"
import { afterEach, test } from "vitest"
import { AnswerPace, AnswerPaces } from "./answer-pace.ts"
import { Looks } from "./looks.ts"

const NEVER_MS = 2 ** 30
let isShort = true
const looks = new Looks(NEVER_MS)
const paces = new AnswerPaces(looks, () => isShort)
afterEach(() => looks.close())

function callNamed(name: string, ended: string[]): AnswerPace {
  return new AnswerPace(paces, () => ended.push(name))
}

function send(pace: AnswerPace, bytes: number): void {
  pace.sending()
  pace.measured(bytes)
}

test("a call is ended whose answer is not taken for four looks and more, and no other", () => {
  const ended: string[] = []
  const [stuck, idle, slow, trickle] = ["stuck", "idle", "slow", "trickle"].map((name) =>
    callNamed(name, ended),
  )
  send(stuck!, 10)
  send(idle!, 10)
  idle!.taken()
  for (let look = 1; look <= 6; look++) {
    send(slow!, 16 * 1024)
    slow!.taken()
    send(slow!, 16 * 1024)
    send(trickle!, 1000)
    trickle!.taken()
    send(trickle!, 1000)
    looks.look()
    if (look === 4) deepStrictEqual(ended, [])
  }
  deepStrictEqual(ended, ["stuck", "trickle"])
  for (const each of [idle, slow]) each!.end()
})

test("an answer of many bytes has more time", () => {
  const ended: string[] = []
  send(callNamed("large", ended), 2 * 1024 * 1024)
  for (let look = 1; look <= 13; look++) {
    if (look === 13) deepStrictEqual(ended, [])
    looks.look()
  }
  deepStrictEqual(ended, ["large"])
})

test("while there is room nobody is ended; when there is none any more, those that are stuck are, at once", () => {
  const ended: string[] = []
  isShort = false
  const stuck = callNamed("stuck", ended)
  send(stuck, 10)
  for (let look = 0; look < 10; look++) looks.look()
  strictEqual(ended.length, 0)
  isShort = true
  looks.look()
  deepStrictEqual(ended, ["stuck"])
})

test("a call that is over is not ended again", () => {
  const ended: string[] = []
  const call = callNamed("over", ended)
  send(call, 10)
  call.end()
  send(call, 10)
  for (let look = 0; look < 10; look++) looks.look()
  strictEqual(ended.length, 0)
})
