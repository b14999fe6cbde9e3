// Against a map whose reads come when the test says so.

import { expect, test } from "vitest"
import { EngineError } from "../base/error.ts"
import { decodeRecord, encodeRecord, RecordCursor } from "../base/record.ts"
import { ConditionalWrites, WAITING_BYTES_MAX, WAITING_WRITES_MAX } from "./conditional-writes.ts"
import { CONDITIONS_MAX } from "./conditions.ts"

const bytes = (text: string): Uint8Array => Buffer.from(text)
const batchOf = (...records: [string, string][]): Uint8Array =>
  Buffer.concat(records.map(([key, value]) => encodeRecord(bytes(key), bytes(value))))

/** The state; while `isCold` every read waits for `arrive`. */
class MapTarget {
  readonly state = new Map<string, string>()
  readonly writes: ConditionalWrites
  isCold = true
  readCount = 0
  keysReadMax = 0
  refusal: EngineError | undefined
  readonly #pending: { resolve: () => void; reject: (error: unknown) => void }[] = []

  constructor() {
    this.writes = new ConditionalWrites({
      read: (keys) => {
        this.readCount++
        this.keysReadMax = Math.max(this.keysReadMax, keys.length)
        const values = keys.map((key) => {
          const value = this.state.get(Buffer.from(key).toString())
          return value === undefined ? undefined : bytes(value)
        })
        if (!this.isCold) return values
        return new Promise((resolve, reject) => {
          this.#pending.push({ resolve: () => resolve(values), reject })
        })
      },
      admit: () => {
        if (this.refusal !== undefined) throw this.refusal
      },
      apply: (batch) => {
        const cursor = new RecordCursor()
        if (this.writes.isWatching) this.writes.touchAll(batch)
        for (
          let at = 0;
          at < batch.length && decodeRecord(batch, at, batch.length, cursor);
          at = cursor.end
        ) {
          const text = Buffer.from(batch)
          this.state.set(
            text.toString("utf8", cursor.keyStart, cursor.keyEnd),
            text.toString("utf8", cursor.valueStart, cursor.end),
          )
        }
        return undefined
      },
    })
  }

  set(key: string, value: string): void {
    this.writes.touch(bytes(key))
    this.state.set(key, value)
  }

  /** The oldest read that waits gets its values, as they were when it was asked. */
  async arrive(): Promise<void> {
    this.#pending.shift()!.resolve()
    await settled()
  }

  async fail(error: unknown): Promise<void> {
    this.#pending.shift()!.reject(error)
    await settled()
  }
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

/** What becomes of a write: its reason when it fails. */
async function outcome(write: () => Promise<void> | undefined): Promise<string> {
  try {
    await write()
    return "applied"
  } catch (error) {
    if (error instanceof EngineError) return error.reason
    throw error
  }
}

test("conditional writes: values in memory are decided in the turn of the call, which throws", () => {
  const target = new MapTarget()
  target.isCold = false
  expect(target.writes.write(batchOf(["a", "1"]), batchOf(["a", ""]))).toBeUndefined()
  expect(target.state.get("a")).toBe("1")
  expect(() => target.writes.write(batchOf(["a", "2"]), batchOf(["a", ""]))).toThrow(
    "the condition does not hold",
  )
  expect(target.writes.isWatching).toBe(false)
})

test("conditional writes: the message names the first that does not hold and how, never a value", () => {
  const target = new MapTarget()
  target.isCold = false
  target.state.set("there", "secret-1")
  const attempt = (...expected: [string, string][]) => {
    return () => target.writes.write(batchOf(["x", "1"]), batchOf(...expected))
  }
  expect(attempt(["there", "secret-1"], ["gone", "secret-2"])).toThrow(/^condition 2 of 2 .* key is absent/)
  expect(attempt(["there", ""], ["gone", "secret-2"])).toThrow(/^condition 1 of 2 .* key is present/)
  expect(attempt(["there", "secret-3"])).toThrow(
    /^the condition does not hold: .* different value; nothing was applied$/,
  )
  expect(attempt(["there", "secret-3"])).not.toThrow("secret")
  expect(target.state.has("x")).toBe(false)
})

test("conditional writes: one that waits is not decided by a value that was overwritten meanwhile", async () => {
  const target = new MapTarget()
  target.state.set("a", "1")
  const first = outcome(() => target.writes.write(batchOf(["b", "yes"]), batchOf(["a", "1"])))
  const second = outcome(() => target.writes.write(batchOf(["c", "yes"]), batchOf(["a", "2"])))
  target.set("a", "2")
  target.isCold = false
  await target.arrive()
  await target.arrive()
  expect([await first, await second]).toEqual(["CONDITION_FAILED", "applied"])
  expect(target.writes.isWatching).toBe(false)
})

test("conditional writes: of those that wait for the same key one wins", async () => {
  const target = new MapTarget()
  const outcomes = [1, 2, 3].map((n) =>
    outcome(() => target.writes.write(batchOf(["a", `${n}`]), batchOf(["a", ""]))),
  )
  await target.arrive()
  await target.arrive()
  await target.arrive()
  target.isCold = false
  while (target.writes.isWatching) await target.arrive()
  expect(await Promise.all(outcomes)).toEqual(["applied", "CONDITION_FAILED", "CONDITION_FAILED"])
  expect(target.state.get("a")).toBe("1")
})

test("conditional writes: only the keys that were written are asked again", async () => {
  const target = new MapTarget()
  const expected = Array.from({ length: 60 }, (_, i): [string, string] => [`k${i}`, ""])
  const applied = outcome(() => target.writes.write(batchOf(["a", "1"]), batchOf(...expected)))
  target.set("k7", "1")
  target.set("k7", "")
  await target.arrive()
  expect(target.readCount).toBe(2)
  target.keysReadMax = 0
  await target.arrive()
  expect([await applied, target.readCount]).toEqual(["applied", 2])
})

test("conditional writes: many conditions are read in rounds of bounded size", async () => {
  const target = new MapTarget()
  const expected = Array.from({ length: 1000 }, (_, i): [string, string] => [`k${i}`, ""])
  const applied = outcome(() => target.writes.write(batchOf(["a", "1"]), batchOf(...expected)))
  for (let i = 0; i < 16; i++) await target.arrive()
  expect(await applied).toBe("applied")
  expect([target.readCount, target.keysReadMax]).toEqual([16, 64])
})

test("conditional writes: a key that was found to hold is asked again when it is written in a later round", async () => {
  const target = new MapTarget()
  const expected = Array.from({ length: 100 }, (_, i): [string, string] => [`k${i}`, ""])
  const refused = outcome(() => target.writes.write(batchOf(["a", "1"]), batchOf(...expected)))
  await target.arrive()
  target.set("k3", "1")
  await target.arrive()
  await target.arrive()
  expect([await refused, target.readCount]).toEqual(["CONDITION_FAILED", 3])
})

test("conditional writes: the bytes of conditions are the caller's again when the call returns", async () => {
  const target = new MapTarget()
  target.state.set("a", "1")
  const expected = batchOf(["a", "1"])
  const applied = outcome(() => target.writes.write(batchOf(["b", "1"]), expected))
  expected.fill(0)
  await target.arrive()
  expect(await applied).toBe("applied")
})

test("conditional writes: a key that is written during every round fails the write in the end", async () => {
  const target = new MapTarget()
  const stalled = outcome(() => target.writes.write(batchOf(["b", "1"]), batchOf(["a", ""])))
  let rounds = 0
  for (; target.writes.isWatching; rounds++) {
    target.set("a", "")
    await target.arrive()
  }
  expect([await stalled, rounds]).toEqual(["WRITES_STALLED", 101])
  expect(target.state.has("b")).toBe(false)
})

test("conditional writes: those that wait are bounded in number; the caller's bytes are free at once", async () => {
  const target = new MapTarget()
  const expected = batchOf(["a", ""])
  const batch = batchOf(["b", "1"])
  const waiting = Array.from({ length: WAITING_WRITES_MAX }, () =>
    outcome(() => target.writes.write(batch, expected)),
  )
  expected.fill(0)
  batch.fill(0)
  const refused = outcome(() => target.writes.write(batchOf(["c", "1"]), batchOf(["a", ""])))
  for (let i = 0; i <= WAITING_WRITES_MAX; i++) await target.arrive()
  expect(await refused).toBe("WRITES_STALLED")
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(["applied"]))
  expect([...target.state.keys()]).toEqual(["b"])
})

test("conditional writes: those that wait are bounded in bytes; a larger one waits alone", async () => {
  const target = new MapTarget()
  const large = encodeRecord(bytes("b"), Buffer.alloc(WAITING_BYTES_MAX))
  const alone = outcome(() => target.writes.write(large, batchOf(["a", ""])))
  const refused = outcome(() => target.writes.write(batchOf(["c", "1"]), batchOf(["a", ""])))
  await target.arrive()
  await target.arrive()
  expect([await alone, await refused]).toEqual(["applied", "WRITES_STALLED"])
  const next = ["c", "d"].map((key) =>
    outcome(() => target.writes.write(batchOf([key, "1"]), batchOf(["a", ""]))),
  )
  await target.arrive()
  await target.arrive()
  expect(await Promise.all(next)).toEqual(["applied", "applied"])
})

test("conditional writes: those that wait fail at once with what took the state away, whatever comes later", async () => {
  const target = new MapTarget()
  const outcomes = ["a", "b"].map((key) =>
    outcome(() => target.writes.write(batchOf([key, "1"]), batchOf([key, ""]))),
  )
  target.writes.failAll(new EngineError("ENGINE_CLOSED", "for the test"))
  expect(await Promise.all(outcomes)).toEqual(["ENGINE_CLOSED", "ENGINE_CLOSED"])
  await target.arrive()
  await target.fail(new EngineError("DATA_LOSS", "for the test"))
  expect([target.state.size, target.writes.isWatching]).toEqual([0, false])
})

test("conditional writes: a failed read fails the write; what refuses writes refuses a decided one", async () => {
  const target = new MapTarget()
  const damaged = outcome(() => target.writes.write(batchOf(["a", "1"]), batchOf(["a", ""])))
  await target.fail(new EngineError("DATA_LOSS", "for the test"))
  expect([await damaged, target.writes.isWatching]).toEqual(["DATA_LOSS", false])
  target.refusal = new EngineError("STORAGE_FULL", "for the test")
  const refused = outcome(() => target.writes.write(batchOf(["a", "1"]), batchOf(["a", ""])))
  expect([await refused, target.readCount]).toEqual(["STORAGE_FULL", 1])
})

test("conditional writes: the number of conditions is bounded", () => {
  const target = new MapTarget()
  target.isCold = false
  const expected = Buffer.alloc(4 * (CONDITIONS_MAX + 1), encodeRecord(bytes("a"), bytes("")))
  const batch = batchOf(["b", "1"])
  expect(() => target.writes.write(batch, expected)).toThrow("at most 65536 conditions")
  expect(target.writes.write(batch, expected.subarray(4))).toBeUndefined()
  expect(target.state.get("b")).toBe("1")
})
