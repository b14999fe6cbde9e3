// Samples of what lies in a partition's directory: records, runs, a segment of a log, state files.

import {
  decodeLogEntry,
  decodeRecord,
  encodeFrameHead,
  encodeRecord,
  encodeSealedJson,
  KeyHasher,
  Log,
  type LogOptions,
  publishStateFile,
  RecordCursor,
  RecordStream,
  RunFile,
  RunWriter,
  readStateFile,
  recordSource,
  SortedRunWriter,
  type StateFile,
} from "@varve/engines/internal"
import { SimulatedClock, type SimulatedFileSystem } from "../simulation/index.ts"
import { diskWith, newerFields, newerSealedJson, type Sample } from "./sample.ts"

const HASH_SEED = 7
const LOG_ID = "000102030405060708090a0b0c0d0e0f"
const RUN = "/partition/L0.1.1.run"
const SEGMENT = "/log/0000000001.log"
const SEGMENT_BYTES = 2048
const STATE = "/partition/state"
/** Ascending by key; an empty value is a tombstone. */
const records = [
  { key: "account:ada", value: "100" },
  { key: "account:bob", value: "" },
  { key: "account:cy", value: "x".repeat(300) },
  { key: "note", value: "größer" },
]
const origin = { id: "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", level: 1, run: 3, version: 2, hashSeed: HASH_SEED }

const batch: Sample = {
  name: "batch.records",
  called: "the batch",
  make: () =>
    Buffer.concat(records.map(({ key, value }) => encodeRecord(Buffer.from(key), Buffer.from(value)))),
  read: (source) => {
    const bytes = Buffer.from(source)
    const cursor = new RecordCursor()
    const found: object[] = []
    for (let at = 0; at < bytes.length; at = cursor.end) {
      if (!decodeRecord(bytes, at, bytes.length, cursor)) throw new Error(`no record at byte ${at}`)
      const key = bytes.toString("utf8", cursor.keyStart, cursor.keyEnd)
      found.push({ key, value: bytes.toString("utf8", cursor.valueStart, cursor.end) })
    }
    return found
  },
  newer: undefined,
}

const SESSION = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex")

/** An entry of a partition's log: a batch of a frame. */
const entry: Sample = {
  name: "frame.entry",
  called: "the entry",
  make: () =>
    Buffer.concat([
      encodeFrameHead({ session: SESSION, sequence: 2 ** 32 + 5 }),
      encodeRecord(Buffer.from("a"), Buffer.from("xyz")),
    ]),
  read: decodeLogEntry,
  newer: undefined,
}

async function readRun(source: Uint8Array): Promise<unknown> {
  const run = await RunFile.open(await diskWith(RUN, source), RUN)
  try {
    if (!("hashes" in run.layout.index)) await run.readIndex()
    const stream = new RecordStream(run, 1)
    const found: object[] = []
    while (await stream.advance()) {
      const { bytes, cursor, recordOffset } = stream
      const key = bytes.toString("utf8", cursor.keyStart, cursor.keyEnd)
      found.push({ offset: recordOffset, key, value: bytes.toString("utf8", cursor.valueStart, cursor.end) })
    }
    return { figures: run.figures, layout: run.layout, records: found }
  } finally {
    await run.close()
  }
}

const newerRun = (source: Uint8Array): Uint8Array =>
  newerFields(source, { start: -96, format: 84, formatBytes: 4, crc: 88, covered: [0, 88] })

const hashedRun: Sample = {
  name: "hashed.run",
  called: RUN,
  make: async () => {
    const disk = await diskWith(RUN)
    const writer = await RunWriter.create(disk, RUN, origin)
    const hasher = new KeyHasher(HASH_SEED)
    for (const { key, value } of records) {
      hasher.hash(Buffer.from(key), 0, key.length)
      writer.entry(hasher.h1, hasher.h2, writer.recordsBytes, value === "")
      await writer.append(encodeRecord(Buffer.from(key), Buffer.from(value)))
    }
    await writer.finish()
    return disk.bytesOf(RUN)
  },
  read: readRun,
  newer: newerRun,
}

const sortedRun: Sample = {
  name: "sorted.run",
  called: RUN,
  make: async () => {
    const disk = await diskWith(RUN)
    const shape = { densityFactor: 2, bloomFalsePositiveRate: 0.01 }
    const writer = await SortedRunWriter.create(disk, RUN, origin, shape)
    const cursor = new RecordCursor()
    for (const { key, value } of records) {
      const record = Buffer.from(encodeRecord(Buffer.from(key), Buffer.from(value)))
      decodeRecord(record, 0, record.length, cursor)
      await writer.add(recordSource(record), cursor)
    }
    await writer.finish()
    return disk.bytesOf(RUN)
  },
  read: readRun,
  newer: newerRun,
}

function logOptions(disk: SimulatedFileSystem): LogOptions {
  const fail = (error: unknown): never => {
    throw error
  }
  const clock = new SimulatedClock({ autoAdvance: true })
  const place = { fileSystem: disk, directory: "/log", id: LOG_ID, segmentBytes: SEGMENT_BYTES }
  return { ...place, clock, onFailure: fail, onWarning: fail }
}

const segment: Sample = {
  name: "segment.log",
  called: SEGMENT,
  make: async () => {
    const disk = await diskWith(SEGMENT)
    const log = await Log.create(logOptions(disk))
    for (const group of [["a", "xyz"], ["z".repeat(600)]]) {
      for (const entry of group) log.append(Buffer.from(entry))
      await log.synced(log.end - 1)
    }
    await log.close()
    return disk.bytesOf(SEGMENT)
  },
  read: async (source) => {
    const log = await Log.open(logOptions(await diskWith(SEGMENT, source)), 0, 3)
    const entries: string[] = []
    for await (const { bytes } of log.read(0)) entries.push(Buffer.from(bytes).toString())
    await log.close()
    return entries
  },
  newer: (source) => newerFields(source, { start: 0, format: 8, formatBytes: 4, crc: 4, covered: [8, 512] }),
}

const figures = {
  ...{ id: origin.id, level: 1, run: 3, version: 2 },
  ...{ bytes: 600, recordsBytes: 400, recordCount: 4, tombstoneCount: 1 },
}
const recipe = { pack: LOG_ID, offset: 4096, bytes: 104, hash: "ab".repeat(32) }
const present: StateFile["present"] = {
  line: [
    { timeline: "a", version: 2 },
    { timeline: "b", version: 5 },
  ],
  timeline: "b",
  metadata: Buffer.from("offset 42").toString("base64"),
  hashSeed: HASH_SEED,
  runs: [figures],
  stored: { [figures.id]: [{ ...figures, recipe }] },
  engineState: { tail: 400 },
}
const state = {
  ...{ engine: "hybrid-log", store: "default", partition: 0, epoch: 4, isClean: true, lineage: "first" },
  ...{ present, replaced: [{ handle: "h1", replacedMs: 1_767_225_600_000, state: present }] },
}

const log = { id: LOG_ID, from: 12, end: 40 }

function stateSample(name: string, written: Omit<StateFile, "format">): Sample {
  return {
    name,
    called: STATE,
    make: async () => {
      const disk = await diskWith(STATE)
      await publishStateFile(disk, "/partition", written)
      return disk.bytesOf(STATE)
    },
    read: async (source) => readStateFile(await diskWith(STATE, source), "/partition"),
    newer: newerSealedJson,
  }
}

/** Written no more: of software whose logs named no frames. */
const stateWithLog: Sample = {
  ...stateSample("state-2", state),
  make: () => {
    const file = { format: 2, ...state, log }
    return encodeSealedJson(file)
  },
}

/** Frames 1 to 5 of one session: applied, condition failed, refused, never came, applied. */
const sessions = {
  hasForgotten: true,
  table: Buffer.from(
    `${SESSION.toString("hex")}${"05".padEnd(16, "0")}${"09".padEnd(16, "0")}e404${"0".repeat(28)}`,
    "hex",
  ).toString("base64"),
}

export const recordSamples: readonly Sample[] = [
  batch,
  entry,
  hashedRun,
  sortedRun,
  segment,
  stateSample("state-1", state),
  stateWithLog,
  stateSample("state-3", { ...state, present: { ...present, arriving: [figures.id] } }),
  stateSample("state-4", { ...state, present: { ...present, sessions }, log }),
]
