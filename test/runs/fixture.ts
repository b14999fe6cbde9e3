// Runs for tests: written from lists of records, read back as lists.

import {
  decodeRecord,
  encodeRecord,
  type FileSystem,
  KeyHasher,
  type OpenRun,
  RecordCursor,
  type RunFigures,
  type RunFile,
  type RunOrigin,
  RunWriter,
} from "@varve/engines/internal"

export interface TestRecord {
  readonly key: string
  /** Empty: a tombstone. */
  readonly value: string
}

/** How a key is hashed; tests give others to make keys collide. */
export type TestHash = (key: Uint8Array) => { h1: number; h2: number }

const hasher = new KeyHasher(1)

export const spreadHash: TestHash = (key) => {
  hasher.hash(key, 0, key.length)
  return { h1: hasher.h1, h2: hasher.h2 }
}

export function originOf(run: number, level = 0): RunOrigin {
  return { id: run.toString(16).padStart(32, "0"), level, run, version: 1, hashSeed: 1 }
}

/** Writes and publishes a run. `isListed` leaves records out of the hashes: dead ones. */
export async function writeRun(
  fileSystem: FileSystem,
  path: string,
  origin: RunOrigin,
  records: readonly TestRecord[],
  options: {
    readonly hash?: TestHash
    readonly isListed?: (index: number) => boolean
    readonly paddingBytes?: number
  } = {},
): Promise<RunFigures> {
  const { hash = spreadHash, isListed = () => true, paddingBytes = 0 } = options
  const writer = await RunWriter.create(fileSystem, path, origin)
  try {
    for (const [index, { key, value }] of records.entries()) {
      const keyBytes = Buffer.from(key)
      if (isListed(index)) {
        const { h1, h2 } = hash(keyBytes)
        writer.entry(h1, h2, writer.recordsBytes, value === "")
      }
      await writer.append(encodeRecord(keyBytes, Buffer.from(value)))
      await writer.append(new Uint8Array(paddingBytes))
    }
    return await writer.finish()
  } catch (error) {
    await writer.abandon()
    throw error
  }
}

/** The listed records in file order, each read by its offset and met by `scan` alike. */
export async function readRun(run: OpenRun): Promise<TestRecord[]> {
  const records: TestRecord[] = []
  for await (const page of run.hashes()) {
    for (let i = 0; i < page.count; i++) {
      const { bytes, cursor } = await run.read(page.offset[i]!)
      records.push(recordAt(bytes, cursor))
    }
  }
  return records
}

export async function scanRun(run: OpenRun | RunFile): Promise<TestRecord[]> {
  const records: TestRecord[] = []
  const cursor = new RecordCursor()
  for await (const { bytes, bytesOffset, hashes, from, to } of run.scan()) {
    for (let i = from; i < to; i++) {
      if (!decodeRecord(bytes, hashes.offset[i]! - bytesOffset, bytes.length, cursor))
        throw new Error("no record")
      records.push(recordAt(bytes, cursor))
    }
  }
  return records
}

function recordAt(bytes: Uint8Array, cursor: RecordCursor): TestRecord {
  return {
    key: Buffer.from(bytes.subarray(cursor.keyStart, cursor.keyEnd)).toString(),
    value: Buffer.from(bytes.subarray(cursor.valueStart, cursor.end)).toString(),
  }
}
