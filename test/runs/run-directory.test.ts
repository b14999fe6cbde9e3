// Who holds a run keeps its file; who finds one takes its identity, not its name, for what it is.

import { deepStrictEqual, notStrictEqual, ok, rejects, strictEqual } from "node:assert"
import { isEngineError, type OpenRun, RunDirectory, type RunFigures } from "@varve/engines/internal"
import { test } from "vitest"
import { SimulatedFileSystem } from "../simulation/index.ts"
import { originOf, readRun, writeRun } from "./fixture.ts"

const DIRECTORY = "/runs"
const records = [{ key: "a", value: "1" }]

async function open(disk: SimulatedFileSystem): Promise<RunDirectory> {
  await disk.makeDirectory(DIRECTORY)
  return RunDirectory.open(disk, DIRECTORY, (error) => {
    throw error
  })
}

async function addRun(directory: RunDirectory, run: number, id = originOf(run).id): Promise<OpenRun> {
  const origin = { ...originOf(run), id }
  return directory.adopt(await writeRun(directory.fileSystem, directory.pathFor(origin), origin, records))
}

function isDataLoss(error: unknown): boolean {
  return isEngineError(error, "DATA_LOSS")
}

test("run directory: a file goes when its last holder lets go, and not before", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const directory = await open(disk)
  const run = await addRun(directory, 1)
  const again = await directory.open(run.figures)
  strictEqual(again, run)
  run.release()
  deepStrictEqual(await readRun(again), records)
  const reading = again.read(0)
  again.release()
  await reading
  await directory.close()
  deepStrictEqual(disk.paths(), [])
  strictEqual(disk.openPaths.length, 0)
})

test("run directory: once it keeps its files, releasing a run closes it and the file stays", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const directory = await open(disk)
  const run = await addRun(directory, 1)
  directory.keepFiles()
  run.release()
  await directory.close()
  strictEqual(disk.paths().length, 1)
  strictEqual(disk.openPaths.length, 0)
})

test("run directory: numbers of runs go up from call to call and above everything found or opened", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const directory = await open(disk)
  strictEqual(directory.nextRun(), 1)
  strictEqual(directory.nextRun(), 2)
  await addRun(directory, 70)
  strictEqual(directory.nextRun(), 71)
  await directory.close()
  strictEqual((await open(disk)).nextRun(), 71)
})

test("run directory: unfinished files are removed when it is opened, others are left alone", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  await disk.makeDirectory(DIRECTORY)
  for (const name of ["L0.1.1.run.tmp", "L0.1.1.2.run.new", "state.json", "L0.x.run.tmp"]) {
    await (await disk.open(`${DIRECTORY}/${name}`, "create")).close()
  }
  await open(disk)
  deepStrictEqual(disk.paths(), ["/runs/L0.x.run.tmp", "/runs/state.json"])
})

test("run directory: runs of equal numbers and different identity live side by side, and are told apart", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const directory = await open(disk)
  const ids = ["a", "b", "c"].map((digit) => digit.repeat(32))
  const figures: RunFigures[] = []
  for (const id of ids) figures.push((await addRun(directory, 5, id)).figures)
  deepStrictEqual(disk.paths(), ["/runs/L0.5.1.1.run", "/runs/L0.5.1.2.run", "/runs/L0.5.1.run"])
  await directory.close()
  const reopened = await open(disk)
  for (const one of figures) {
    const run = await reopened.open(one)
    strictEqual(run.figures.id, one.id)
    strictEqual(await reopened.findById(one.id), run)
  }
  strictEqual(await reopened.findById("d".repeat(32)), undefined)
})

test("run directory: opening one run many times at once opens one file", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const directory = await open(disk)
  const { figures } = await addRun(directory, 1)
  await directory.close()
  const reopened = await open(disk)
  const before = disk.openPaths.length
  const runs = await Promise.all([
    reopened.open(figures),
    reopened.findById(figures.id),
    reopened.open(figures),
    reopened.findById(figures.id),
  ])
  strictEqual(new Set(runs).size, 1)
  strictEqual(disk.openPaths.length - before, 1)
  for (const run of runs) run?.release()
  await reopened.close()
  deepStrictEqual(disk.paths(), [])
})

test("run directory: a listed run that is missing, damaged or another one is DATA_LOSS and names the file", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const directory = await open(disk)
  const { figures, path } = await addRun(directory, 1)
  await directory.close()
  await rejects((await open(disk)).open({ ...figures, id: "f".repeat(32) }), isDataLoss)
  await rejects((await open(disk)).open({ ...figures, recordCount: 2 }), isDataLoss)
  ok(disk.paths().includes(path), "a file that contradicts its state is kept")
  disk.flip(path, 8 * (figures.bytes - 1))
  const damaged = await open(disk)
  await rejects(damaged.open(figures), (error) => isDataLoss(error) && String(error).includes(path))
  strictEqual(await damaged.findById(figures.id), undefined)
  notStrictEqual(damaged.pathFor(figures), path, "a new copy does not replace the damaged file")
})

test("run directory: removeUnused deletes what nobody holds or wants, and leaves what it cannot read", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const directory = await open(disk)
  const runs = []
  for (const run of [1, 2, 3, 4]) runs.push((await addRun(directory, run)).figures)
  await directory.close()
  disk.truncate("/runs/L0.4.1.run", 20)
  const reopened = await open(disk)
  const held = await reopened.open(runs[0]!)
  await reopened.removeUnused(new Set([runs[1]!.id]))
  deepStrictEqual(disk.paths(), ["/runs/L0.1.1.run", "/runs/L0.2.1.run", "/runs/L0.4.1.run"])
  deepStrictEqual(await readRun(held), records)
  strictEqual(await reopened.findById(runs[2]!.id), undefined)
})

test("run directory: a name whose file is being deleted is not given again until it is gone", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const directory = await open(disk)
  const run = await addRun(directory, 1)
  const { figures, path } = run
  run.release()
  notStrictEqual(directory.pathFor({ ...figures, id: "e".repeat(32) }), path)
  await directory.close()
  deepStrictEqual(disk.paths(), [])
})
