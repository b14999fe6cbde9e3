// Batches longer than one round of staged look-ups: what the records of a batch do to each other.

import { encodeRecord } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedRandom } from "../simulation/index.ts"
import { bytes, contents, tinyEngine } from "./engine-fixture.ts"

const SEEDS = [1, 2, 3]
const RECORDS = 150
const KEYS = 60

test.each(
  (["append-log", "hybrid-log"] as const).flatMap((name) => SEEDS.map((seed) => [name, seed] as const)),
)("%s: records of a batch apply in order, however often it names a key, seed %i", async (name, seed) => {
  const random = new SimulatedRandom(seed)
  const { engine } = await tinyEngine(name, seed)
  const model = new Map<string, string>()
  for (let batch = 0; batch < 60; batch++) {
    // Short records, so that a batch has several rounds, or long ones, so that keys leave memory.
    const isLong = random.oneIn(2)
    const records: Uint8Array[] = []
    for (let i = isLong ? RECORDS / 10 : RECORDS * 5; i > 0; i--) {
      const key = `k${random.integer(KEYS)}`
      const value = random.oneIn(5) ? "" : `${batch}.${i}`.padEnd(isLong ? 400 : 1, "x")
      records.push(encodeRecord(bytes(key), bytes(value)))
      if (value === "") model.delete(key)
      else model.set(key, value)
    }
    await engine.writeEncoded(Buffer.concat(records)).pending
    const asked = Array.from({ length: 600 }, () => `k${random.integer(KEYS + 5)}`)
    const values = await engine.getMany(asked.map(bytes))
    const texts = values.map((value) => (value === undefined ? undefined : Buffer.from(value).toString()))
    expect(texts).toEqual(asked.map((key) => model.get(key)))
  }
  expect(await contents(engine)).toEqual(model)
  expect(engine.statistics().recordCount).toBe(model.size)
  await engine.close()
})
