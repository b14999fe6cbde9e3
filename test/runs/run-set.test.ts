// The runs of a state under addresses, and the merger that keeps them few.

import { deepStrictEqual, ok, strictEqual, throws } from "node:assert"
import {
  decodeRecord,
  Merger,
  mergeHashedRuns,
  movedRecords,
  type OpenRun,
  type Relocations,
  RUN_ADDRESS_BASE,
  RunDirectory,
  RunSet,
} from "@varve/engines/internal"
import { test } from "vitest"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { originOf, readRun, type TestRecord, writeRun } from "./fixture.ts"

const DIRECTORY = "/runs"

async function makeDirectory(seams: SimulatedSeams): Promise<RunDirectory> {
  await seams.fileSystem.makeDirectory(DIRECTORY)
  return RunDirectory.open(seams.fileSystem, DIRECTORY, (error) => {
    throw error
  })
}

async function addRun(
  directory: RunDirectory,
  level: number,
  records: readonly TestRecord[],
): Promise<OpenRun> {
  const origin = originOf(directory.nextRun(), level)
  return directory.adopt(await writeRun(directory.fileSystem, directory.pathFor(origin), origin, records))
}

test("run set: newest first, by level, with figures and bytes", async () => {
  const directory = await makeDirectory(simulatedSeams(1))
  const runs = new RunSet()
  const added = []
  for (const level of [1, 0, 3, 0]) {
    added.push(await addRun(directory, level, [{ key: "a", value: "1" }]))
    runs.add(added.at(-1)!)
  }
  deepStrictEqual(
    runs.figures.map(({ level, run }) => [level, run]),
    [
      [0, 4],
      [0, 2],
      [1, 1],
      [3, 3],
    ],
  )
  deepStrictEqual(runs.byLevel, [2, 1, 0, 1])
  strictEqual(
    runs.diskBytes,
    added.reduce((bytes, run) => bytes + run.figures.bytes, 0),
  )
})

test("run set: an address leads to its run and offset, at the edges too, and nowhere outside", async () => {
  const directory = await makeDirectory(simulatedSeams(1))
  const runs = new RunSet()
  const bases = [1000, 0, 5000, undefined, undefined]
  const placed = []
  for (const base of bases) {
    const run = await addRun(directory, 0, [{ key: "a", value: "v".repeat(100) }])
    runs.add(run, base)
    placed.push({ run, base: runs.addressesOf(run).at(0), bytes: run.figures.recordsBytes })
    if (base !== undefined) strictEqual(runs.addressesOf(run).at(0), base)
    else ok(runs.addressesOf(run).at(0) >= RUN_ADDRESS_BASE)
  }
  for (const { run, base, bytes } of placed) {
    for (const offset of [0, 1, bytes - 1]) deepStrictEqual(runs.byAddress(base + offset), { run, offset })
    const behind = runs.byAddress(base + bytes)
    ok(behind === undefined || behind.run !== run)
  }
  strictEqual(runs.byAddress(4999), undefined)
  strictEqual(runs.byAddress(2 ** 48 - 1), undefined)
  const overlapping = await addRun(directory, 0, [{ key: "a", value: "1" }])
  throws(() => runs.add(overlapping, 1050))
})

test("run set: replaced runs keep their addresses until they are retired, then their files go", async () => {
  const seams = simulatedSeams(1)
  const directory = await makeDirectory(seams)
  const runs = new RunSet()
  const [a, b] = [await addRun(directory, 0, [{ key: "a", value: "1" }]), await addRun(directory, 0, [])]
  runs.add(a, 0)
  runs.add(b, 100)
  const output = await addRun(directory, 1, [{ key: "a", value: "1" }])
  const before = runs.newestFirst
  runs.replace([b, a], output)
  deepStrictEqual(before, [b, a])
  deepStrictEqual(runs.newestFirst, [output])
  strictEqual(runs.byAddress(0)?.run, a)
  strictEqual(runs.byAddress(runs.addressesOf(output).at(0))?.run, output)
  runs.retire([b, a])
  strictEqual(runs.byAddress(0), undefined)
  const held = runs.retainAll()
  runs.close()
  await directory.removeUnused(new Set())
  deepStrictEqual(seams.fileSystem.paths(), [output.path])
  deepStrictEqual(await readRun(held[0]!), [{ key: "a", value: "1" }])
  held[0]!.release()
  await directory.close()
  deepStrictEqual(seams.fileSystem.paths(), [])
})

/** A state that knows for each key the address of its newest record, as an engine does. */
async function makeState(seams: SimulatedSeams, maxRunsPerLevel: number, memoryBytes = 0) {
  let logAddress = 0
  const directory = await makeDirectory(seams)
  const runs = new RunSet()
  const model = new Map<string, { value: string; address: number; flushedAt: number }>()
  const errors: unknown[] = []
  const relocate = async (
    inputs: readonly OpenRun[],
    output: OpenRun,
    relocations: Relocations,
  ): Promise<void> => {
    await seams.clock.nextTurn()
    const { keptOffsets } = relocations
    for await (const moved of movedRecords(inputs, output, relocations)) {
      const kept = keptOffsets[moved.input]!
      const source = runs.addressesOf(kept < 0 ? inputs[moved.input]! : output)
      for (let i = 0; i < moved.count; i++) {
        const from = source.at(Math.max(kept, 0) + moved.inputOffset[i]!)
        const to = moved.outputOffset[i]! < 0 ? -1 : runs.addressesOf(output).at(moved.outputOffset[i]!)
        for (const [key, entry] of model) {
          if (entry.address !== from) continue
          if (to === -1) model.delete(key)
          else entry.address = to
        }
      }
    }
  }
  const merger = new Merger({
    runs,
    directory,
    executor: seams.executor,
    clock: seams.clock,
    random: seams.random,
    hashSeed: 1,
    merging: { policy: { maxRunsPerLevel }, merge: mergeHashedRuns },
    keepsAddresses: (run) => runs.reachesIntoLog(run, logAddress - memoryBytes),
    relocate,
    onError: (error) => errors.push(error),
  })
  const flush = async (records: readonly TestRecord[]): Promise<void> => {
    const run = await addRun(directory, 0, records)
    for await (const page of run.hashes()) {
      for (let i = 0; i < page.count; i++) {
        const address = logAddress + page.offset[i]!
        model.set(records[i]!.key, { value: records[i]!.value, address, flushedAt: address })
      }
    }
    runs.add(run, logAddress)
    logAddress += run.figures.recordsBytes
  }
  const check = async (): Promise<void> => {
    for (const [key, { value, address }] of model) {
      const place = runs.byAddress(address)
      ok(place !== undefined, `${key} at ${address}`)
      const { bytes, cursor } = await place.run.read(place.offset)
      ok(decodeRecord(bytes, cursor.start, bytes.length, cursor))
      strictEqual(Buffer.from(bytes.subarray(cursor.keyStart, cursor.keyEnd)).toString(), key)
      strictEqual(Buffer.from(bytes.subarray(cursor.valueStart, cursor.end)).toString(), value)
    }
  }
  /** What an engine that reads from memory relies on: records so close to the tail keep their addresses. */
  const checkKept = (): void => {
    const moved = [...model.values()].filter(
      ({ address, flushedAt }) => address !== flushedAt && flushedAt >= logAddress - memoryBytes,
    )
    deepStrictEqual(moved, [])
  }
  return { directory, runs, merger, errors, flush, check, checkKept, model }
}

test("merger: over several levels every key stays readable at its address, and files go with their runs", async () => {
  for (const [seed, memoryBytes] of [
    [1, 0],
    [2, 0],
    [3, 500],
    [4, 3000],
  ] as const) {
    const seams = simulatedSeams(seed)
    const { directory, runs, merger, errors, flush, check, checkKept } = await makeState(
      seams,
      3,
      memoryBytes,
    )
    for (let round = 0; round < 40; round++) {
      const keys = new Set(Array.from({ length: 20 }, () => `key-${seams.random.integer(60)}`))
      await flush([...keys].map((key) => ({ key, value: seams.random.integer(4) === 0 ? "" : `${round}` })))
      if (round % 2 === 0) await merger.idle()
      if (round % 3 === 0) await check()
      checkKept()
    }
    await merger.idle()
    await check()
    deepStrictEqual(errors, [])
    ok(runs.byLevel.length >= 3 && runs.byLevel.every((count) => count < 3), `${runs.byLevel}`)
    ok(merger.mergeCount >= 10 && merger.bytesMerged > 0)
    await merger.close()
    await directory.removeUnused(new Set())
    deepStrictEqual(seams.fileSystem.paths(), runs.newestFirst.map((run) => run.path).sort())
    directory.keepFiles()
    runs.close()
    await directory.close()
    strictEqual(seams.fileSystem.openPaths.length, 0)
  }
})

test("merger: one that fails is reported once, changes nothing, and is tried again with the next run", async () => {
  const seams = simulatedSeams(1)
  const { runs, merger, errors, flush, check } = await makeState(seams, 2)
  await flush([{ key: "a", value: "1" }])
  const second = { key: "b", value: "x".repeat(5000) }
  await flush([second])
  await merger.idle()
  strictEqual(merger.mergeCount, 1)
  seams.fileSystem.flip(runs.newestFirst[0]!.path, 25)
  await flush([{ key: "a", value: "2" }])
  await flush([{ key: "a", value: "3" }])
  await merger.idle()
  strictEqual(errors.length, 1)
  deepStrictEqual(runs.byLevel, [0, 2])
  seams.fileSystem.flip(runs.newestFirst.at(-1)!.path, 25)
  await flush([{ key: "c", value: "4" }])
  await merger.idle()
  strictEqual(errors.length, 1)
  await check()
  await merger.close()
})

test("merger: closing stops the merge under way, its inputs stay, and none starts afterwards", async () => {
  const seams = simulatedSeams(1)
  const { runs, errors, merger, flush, check } = await makeState(seams, 2)
  await flush(manyRecords("a"))
  let calls = 0
  const isWriting = new Promise<void>((resolve) => {
    seams.fileSystem.onCall = (words) => {
      calls++
      // The job has found the live records and copies them.
      if (/ write .*L1\./.test(words)) resolve()
    }
  })
  await flush(manyRecords("b"))
  await isWriting
  calls = 0
  await merger.close()
  // Closing and removing what was open; the merge would have needed some ten more reads and writes.
  ok(calls < 10, `${calls} calls after the close`)
  strictEqual(merger.mergeCount, 0)
  deepStrictEqual(errors, [])
  ok(seams.fileSystem.paths().every((path) => !path.endsWith(".tmp")))
  strictEqual(seams.fileSystem.paths().length, 2)
  await flush([{ key: "c", value: "4" }])
  await merger.idle()
  strictEqual(runs.newestFirst.length, 3)
  await check()
})

/** 5 MB that several reads and writes are needed for. */
function manyRecords(prefix: string): TestRecord[] {
  return Array.from({ length: 3000 }, (_, i) => ({ key: `${prefix}${i}`, value: "v".repeat(1700) }))
}

test("run set: addresses of retired runs come back only when the upper half has come to its end", () => {
  const runs = new RunSet()
  let number = 0
  const sized = (recordsBytes: number): OpenRun => {
    const figures = {
      ...originOf(++number),
      bytes: recordsBytes,
      recordsBytes,
      recordCount: 0,
      tombstoneCount: 0,
    }
    return { figures, release: () => undefined } as unknown as OpenRun
  }
  const [a, b, c, rest, last] = [sized(10), sized(10), sized(10), sized(2 ** 46 - 30), sized(10)]
  runs.add(a!)
  runs.replace([a!], b!)
  runs.retire([a!])
  for (const run of [c!, rest!, last!]) runs.add(run)
  deepStrictEqual(
    [b, c, rest, last].map((run) => runs.addressesOf(run!).at(0) - RUN_ADDRESS_BASE),
    [10, 20, 30, 0],
  )
})
