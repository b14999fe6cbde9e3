// Conditions on writes, the same for all engines: in memory, on disk, and with others in their way.

import { type Engine, EngineError, type EngineName, engineNames } from "@varve/engines"
import { encodeRecord, InlineExecutor } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { SimulatedRandom, simulatedSeams } from "../simulation/index.ts"
import { bytes, contents, cool, openTiny, read, tinyEngine } from "./engine-fixture.ts"
import { GatedFileSystem } from "./gated-file-system.ts"

/** What a write comes to: its reason when it fails. */
async function outcome(write: () => Promise<void> | undefined): Promise<string> {
  try {
    await write()
    return "applied"
  } catch (error) {
    if (error instanceof EngineError) return error.reason
    throw error
  }
}

const record = (key: string, value: string) => ({ key: bytes(key), value: bytes(value) })

/** Compare and set of one key; an empty `expected` is "absent". */
function swap(engine: Engine, key: string, expected: string, value: string): Promise<string> {
  return outcome(() => engine.write([{ ...record(key, value), ifValue: bytes(expected) }]))
}

/** The same, of a key whose value is on disk: it cannot be decided in the turn of the call. */
function swapOnDisk(engine: Engine, key: string, expected: string, value: string): Promise<string> {
  const pending = engine.write([{ ...record(key, value), ifValue: bytes(expected) }])
  expect(pending, `${key} is in memory`).toBeInstanceOf(Promise)
  return outcome(() => pending)
}

/** An engine whose reads of runs, `count` of them after `close`, wait for `open`. */
async function gatedEngine(
  name: EngineName,
): Promise<{ engine: Engine; close(count?: number): void; open(): void }> {
  const inner = simulatedSeams(1)
  const fileSystem = new GatedFileSystem(inner.fileSystem)
  const executor = new InlineExecutor({
    fileSystem: inner.fileSystem,
    clock: inner.clock,
    random: inner.random,
  })
  const engine = await openTiny(name, { ...inner, fileSystem, executor })
  let gate = Promise.resolve()
  let openGate = (): void => undefined
  let left = 0
  fileSystem.beforeRead = async (path) => {
    if (path.endsWith(".run") && left-- > 0) await gate
  }
  return {
    engine,
    close: (count = Number.POSITIVE_INFINITY) => {
      left = count
      gate = new Promise((resolve) => {
        openGate = resolve
      })
    },
    open: () => openGate(),
  }
}

describe.each(engineNames)("conditions on %s", (name) => {
  test("absent, equal, different and deleted keys", async () => {
    const { engine } = await tinyEngine(name)
    expect(await swap(engine, "a", "", "1")).toBe("applied")
    expect(await swap(engine, "a", "", "2")).toBe("CONDITION_FAILED")
    expect(await swap(engine, "a", "0", "2")).toBe("CONDITION_FAILED")
    expect(await swap(engine, "a", "11", "2")).toBe("CONDITION_FAILED")
    expect(await read(engine, "a")).toBe("1")
    expect(await swap(engine, "a", "1", "2")).toBe("applied")
    expect(await read(engine, "a")).toBe("2")
    expect(await swap(engine, "a", "1", "")).toBe("CONDITION_FAILED")
    expect(await swap(engine, "a", "2", "")).toBe("applied")
    expect(await swap(engine, "a", "2", "3")).toBe("CONDITION_FAILED")
    expect(await outcome(() => engine.write([{ ...record("a", "4"), ifAbsent: true }]))).toBe("applied")
    expect(await outcome(() => engine.write([{ ...record("a", "5"), ifAbsent: true }]))).toBe(
      "CONDITION_FAILED",
    )
    expect(await contents(engine)).toEqual(new Map([["a", "4"]]))
    expect(engine.statistics().recordCount).toBe(1)
  })

  test("all or none, conditions on keys that the batch does not write, and with no records at all", async () => {
    const { engine } = await tinyEngine(name)
    await engine.write([record("lock", "mine"), record("x", "1")])
    const records = [record("x", "2"), record("y", "2"), { ...record("z", "2"), ifAbsent: true }]
    const expected = [record("lock", "mine"), record("gone", "")]
    await engine.set(bytes("z"), bytes("1"))
    expect(await outcome(() => engine.write(records, { expected }))).toBe("CONDITION_FAILED")
    expect(await contents(engine)).toEqual(
      new Map([
        ["lock", "mine"],
        ["x", "1"],
        ["z", "1"],
      ]),
    )
    await engine.delete(bytes("z"))
    expect(await outcome(() => engine.write(records, { expected }))).toBe("applied")
    expect((await contents(engine)).size).toBe(4)
    expect(await outcome(() => engine.write([], { expected }))).toBe("applied")
    expect(await outcome(() => engine.write([], { expected: [record("gone", "x")] }))).toBe(
      "CONDITION_FAILED",
    )
  })

  test("within one batch conditions look at the state before it", async () => {
    const { engine } = await tinyEngine(name)
    const twice = [
      { ...record("a", "1"), ifAbsent: true },
      { ...record("a", "2"), ifAbsent: true },
    ]
    expect(await outcome(() => engine.write(twice))).toBe("applied")
    expect(await read(engine, "a")).toBe("2")
    const chained = [
      { ...record("a", "3"), ifValue: bytes("2") },
      { ...record("a", "4"), ifValue: bytes("3") },
    ]
    expect(await outcome(() => engine.write(chained))).toBe("CONDITION_FAILED")
    expect(await read(engine, "a")).toBe("2")
    const expected = [record("a", "2"), record("a", "")]
    expect(await outcome(() => engine.write([record("b", "1")], { expected }))).toBe("CONDITION_FAILED")
  })

  test("encoded conditions do the same; bad ones are refused with a reason", async () => {
    const { engine } = await tinyEngine(name)
    const batch = encodeRecord(bytes("a"), bytes("1"))
    const absent = encodeRecord(bytes("a"), bytes(""))
    const written = engine.writeEncoded(batch, absent)
    expect(written.recordCount).toBe(1)
    await written.pending
    const failing = (expected: Uint8Array) => outcome(() => engine.writeEncoded(batch, expected).pending)
    expect(await failing(absent)).toBe("CONDITION_FAILED")
    expect(await failing(absent.subarray(0, -1))).toBe("RECORD_MALFORMED")
    expect(await failing(Uint8Array.of(1, 0, 1, 97))).toBe("RECORD_FLAGS_UNSUPPORTED")
    expect(await failing(encodeRecord(bytes("a"), new Uint8Array(2049)))).toBe("VALUE_TOO_LARGE")
    const expecting = (key: Uint8Array, value: Uint8Array) =>
      outcome(() => engine.write([record("b", "1")], { expected: [{ key, value }] }))
    expect(await expecting(bytes(""), bytes("1"))).toBe("KEY_EMPTY")
    expect(await expecting(new Uint8Array(65_536), bytes("1"))).toBe("KEY_TOO_LARGE")
    expect(await expecting(bytes("b"), new Uint8Array(2049))).toBe("VALUE_TOO_LARGE")
    expect(await contents(engine)).toEqual(new Map([["a", "1"]]))
  })

  test.each([1, 2, 3])(
    "increments by compare and set, many at once, equal the model, seed %i",
    async (seed) => {
      const { engine } = await tinyEngine(name, seed)
      const random = new SimulatedRandom(seed)
      const model = new Map<string, number>()
      let lost = 0
      const worker = async (): Promise<void> => {
        for (let i = 0; i < 25; ) {
          const key = `counter:${random.integer(4)}`
          const before = (await read(engine, key)) ?? ""
          // Pushes counters out of memory, so that they are asked of the disk.
          for (let n = random.integer(12); n > 0; n--) {
            await engine.set(bytes(`filler:${random.integer(500)}`), Buffer.alloc(200, 1))
          }
          const result = await swap(engine, key, before, `${Number(before) + 1}`)
          if (result === "applied") {
            model.set(key, (model.get(key) ?? 0) + 1)
            i++
          } else {
            expect(result).toBe("CONDITION_FAILED")
            lost++
          }
        }
      }
      await Promise.all(Array.from({ length: 12 }, worker))
      for (const [key, count] of model) expect(await read(engine, key), key).toBe(`${count}`)
      expect([...model.values()].reduce((sum, count) => sum + count, 0)).toBe(300)
      expect(lost).toBeGreaterThan(0)
      await engine.close()
    },
  )
})

describe.each(engineNames.filter((name) => name !== "memory"))("conditions on disk, %s", (name) => {
  test("are decided as those in memory are", async () => {
    const { engine } = await tinyEngine(name)
    for (const key of ["a", "b", "c"]) await engine.set(bytes(key), bytes(`old ${key}`))
    await cool(engine)
    expect(await swapOnDisk(engine, "a", "", "new")).toBe("CONDITION_FAILED")
    expect(await swap(engine, "a", "old b", "new")).toBe("CONDITION_FAILED")
    expect(await read(engine, "a")).toBe("old a")
    expect(await swap(engine, "a", "old a", "new")).toBe("applied")
    expect(await read(engine, "a")).toBe("new")
    expect(await swap(engine, "b", "old b", "")).toBe("applied")
    expect(await swap(engine, "b", "", "again")).toBe("applied")
    const mixed = { expected: [record("a", "new"), record("c", "old c"), record("never", "")] }
    expect(await outcome(() => engine.write([record("c", "new")], mixed))).toBe("applied")
    expect(await Promise.all(["a", "b", "c"].map((key) => read(engine, key)))).toEqual([
      "new",
      "again",
      "new",
    ])
  })

  test("a plain write, a batch and a delete that come meanwhile are seen", async () => {
    const { engine, close, open } = await gatedEngine(name)
    const keys = ["a", "b", "c", "d"]
    for (const key of keys) await engine.set(bytes(key), bytes("old"))
    await cool(engine)
    close()
    const attempts = keys.map((key) => swapOnDisk(engine, key, "old", "swapped"))
    engine.set(bytes("a"), bytes("set"))
    engine.write([record("b", "batch"), record("other", "1")])
    engine.delete(bytes("c"))
    const late = swap(engine, "a", "set", "swapped late")
    open()
    expect(await Promise.all(attempts)).toEqual([
      "CONDITION_FAILED",
      "CONDITION_FAILED",
      "CONDITION_FAILED",
      "applied",
    ])
    expect(await late).toBe("applied")
    expect(await Promise.all(keys.map((key) => read(engine, key)))).toEqual([
      "swapped late",
      "batch",
      undefined,
      "swapped",
    ])
  })

  test("of many that wait for one key exactly one is applied", async () => {
    const { engine, close, open } = await gatedEngine(name)
    await engine.set(bytes("a"), bytes("old"))
    await cool(engine)
    close()
    const attempts = Array.from({ length: 20 }, (_, i) => swapOnDisk(engine, "a", "old", `winner ${i}`))
    open()
    const outcomes = await Promise.all(attempts)
    expect(outcomes.filter((each) => each === "applied").length).toBe(1)
    expect(await read(engine, "a")).toBe(`winner ${outcomes.indexOf("applied")}`)
  })

  test("a restore meanwhile rejects it, also when the new state fulfils the conditions", async () => {
    for (const target of [{ version: 1 }, { empty: true }] as const) {
      const { engine, close, open } = await gatedEngine(name)
      await engine.set(bytes("a"), bytes("old"))
      await engine.snapshot({ version: 1 })
      await cool(engine)
      const before = "version" in target ? "old" : ""
      close(1)
      const attempt = swapOnDisk(engine, "a", before, "new")
      await engine.restore(target)
      expect(await attempt).toBe("RESTORE_IN_PROGRESS")
      open()
      expect((await read(engine, "a")) ?? "").toBe(before)
      await engine.close()
    }
  })

  test("close rejects it at once, and keeps what there was", async () => {
    const { engine, close, open } = await gatedEngine(name)
    await engine.set(bytes("a"), bytes("old"))
    await cool(engine)
    close(1)
    const attempt = swapOnDisk(engine, "a", "old", "new")
    const closed = engine.close()
    expect(await attempt).toBe("ENGINE_CLOSED")
    open()
    await closed
  })
})
