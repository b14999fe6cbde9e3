// The examples of formats in the READMEs are what the encoders write. An example is a block of lines
//
//     offset  bytes in hex, two or fewer spaces between them    remark       "…": some bytes are left out
//
// or, in a block of JSON, the document itself.

import { readFileSync } from "node:fs"
import {
  decodeRecord,
  encodeClaim,
  encodeInheritance,
  encodeManifest,
  encodeMovedPack,
  encodeRecord,
  encodeRepositoryRoot,
  encodeSealedJson,
  Log,
  type Manifest,
  publishStateFile,
  RecordCursor,
  RunWriter,
  recordSource,
  SortedRunWriter,
} from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedClock } from "../simulation/index.ts"
import { diskWith } from "./sample.ts"

const ID = "000102030405060708090a0b0c0d0e0f"

/** The block behind `title`. */
function block(folder: string, title: string): string[] {
  const readme = readFileSync(new URL(`../../engines/src/${folder}/README.md`, import.meta.url), "utf8")
  const text = readme.split(title)[1]?.split("```")[1]
  expect(text, `${folder}: ${title}`).toBeDefined()
  return text!.split("\n").slice(1, -1)
}

/** The JSON document behind `title`. */
function document(folder: string, title: string): string {
  return block(folder, title).join("\n")
}

/** Compares what an example shows with these bytes; it shows at least `shownMin` of them. */
function compare(folder: string, title: string, bytes: Uint8Array, shownMin: number): void {
  let at: number | undefined
  let shown = 0
  for (const line of block(folder, title)) {
    const [, offset, rest] = /^ *(?:(\d+) {2})?(.*)$/.exec(line)!
    if (offset !== undefined) at = Number(offset)
    for (const word of rest!.trim().split(/ {3,}/)[0]!.split(/ +/)) {
      if (!/^[0-9a-f]{2}$/.test(word)) at = undefined
      if (at === undefined) continue
      expect(bytes[at]?.toString(16).padStart(2, "0"), `${title} byte ${at} in: ${line}`).toBe(word)
      at++
      shown++
    }
  }
  expect(shown).toBeGreaterThanOrEqual(shownMin)
}

const record = (key: string, value: string): Uint8Array => encodeRecord(Buffer.from(key), Buffer.from(value))

test("README of base: records", () => {
  const batch = Buffer.concat([record("a", "xyz"), record("b", ""), record("k", "v".repeat(200))])
  compare("base", "and `k` with a value of 200 bytes:", batch, 19)
})

test("README of base: sealed JSON", () => {
  const title = 'The document `{"format":1,"name":"ada"}`:'
  compare("base", title, encodeSealedJson({ format: 1, name: "ada" } as { format: number }), 35)
})

test("README of runs: a hashed run", async () => {
  const disk = await diskWith("/r/L0.1.1.run")
  const origin = { id: "01".padStart(32, "0"), level: 0, run: 1, version: 1, hashSeed: 1 }
  const writer = await RunWriter.create(disk, "/r/L0.1.1.run", origin)
  for (const [key, value] of [
    ["a", "xyz"],
    ["b", ""],
  ] as const) {
    writer.entry(0x0102_0304, key.charCodeAt(0), writer.recordsBytes, value === "")
    await writer.append(record(key, value))
  }
  await writer.finish()
  compare("runs", "A run of two records", disk.bytesOf("/r/L0.1.1.run"), 100)
})

test("README of runs: a sorted run", async () => {
  const disk = await diskWith("/r/L0.1.1.run")
  const origin = { id: "01".padStart(32, "0"), level: 0, run: 1, version: 1, hashSeed: 1 }
  const shape = { densityFactor: 2, bloomFalsePositiveRate: 0.01 }
  const writer = await SortedRunWriter.create(disk, "/r/L0.1.1.run", origin, shape)
  const cursor = new RecordCursor()
  for (const [key, value] of [
    ["a", "xyz"],
    ["b", ""],
    ["bc", "w"],
  ] as const) {
    const bytes = Buffer.from(record(key, value))
    decodeRecord(bytes, 0, bytes.length, cursor)
    await writer.add(recordSource(bytes), cursor)
  }
  await writer.finish()
  compare("runs", "The part before the trailer of a sorted run", disk.bytesOf("/r/L0.1.1.run"), 90)
})

test("README of log: a group of two entries", async () => {
  const disk = await diskWith("/log/0000000001.log")
  const fail = (error: unknown): never => {
    throw error
  }
  const clock = new SimulatedClock({ autoAdvance: true })
  const place = { fileSystem: disk, directory: "/log", id: ID, segmentBytes: 4096 }
  const log = await Log.create({ ...place, clock, onFailure: fail, onWarning: fail })
  log.append(Buffer.from("a"))
  await log.synced(log.append(Buffer.from("xyz")))
  await log.close()
  compare("log", "A group of two entries", disk.bytesOf("/log/0000000001.log"), 60)
})

test("README of partition: the state file", async () => {
  const disk = await diskWith("/partition/state")
  const { format: _, ...state } = JSON.parse(document("partition", "as `head -1 state` shows it:"))
  await publishStateFile(disk, "/partition", state)
  const bytes = disk.bytesOf("/partition/state")
  expect(Buffer.from(bytes).toString().split("\n")[0]).toBe(
    document("partition", "as `head -1 state` shows it:"),
  )
  compare("partition", "and its beginning and end as bytes:", bytes, 24)
})

/** A document of the repository is in the README as it is written: its line, and its bytes are sealed. */
function compareSealed(folder: string, title: string, bytes: Uint8Array): void {
  expect(Buffer.from(bytes).toString().split("\n")[0]).toBe(document(folder, title))
}

test("README of snapshots: manifest, claim, inheritance, root", () => {
  const manifest = JSON.parse(document("snapshots", "The manifest of a version of one run:")) as Manifest
  compareSealed("snapshots", "The manifest of a version of one run:", encodeManifest(manifest))
  const claim = { epoch: 3, owner: ID, name: "host:4711", claimedMs: 1_767_225_600_000 }
  compareSealed("snapshots", "The claim of epoch 3:", encodeClaim(claim))
  const inheritance = JSON.parse(document("snapshots", "Its inheritance:"))
  compareSealed("snapshots", "Its inheritance:", encodeInheritance(inheritance))
  const chunking = {
    algorithm: "fastcdc-gear32",
    bytesMin: 4096,
    bytesAverage: 16_384,
    bytesMax: 65_536,
  } as const
  const root = encodeRepositoryRoot({ format: 1, identity: ID, chunking })
  expect(Buffer.from(root).toString().trimEnd()).toBe(document("snapshots", "That of a new repository:"))
})

test("README of garbage: a note", () => {
  const { format: _, ...moved } = JSON.parse(document("garbage", "A note:"))
  compareSealed("garbage", "A note:", encodeMovedPack(moved))
})
