// Runs for tests of the repository, and manifests that list them.

import {
  encodeRecord,
  type FileSystem,
  KeyHasher,
  type Manifest,
  type RunFigures,
  RunWriter,
  type StoredRun,
} from "@varve/engines/internal"

const HASH_SEED = 7

/** Longer values repeat: noise is slow. */
const PATTERN_BYTES = 10_000

/** Deterministic bytes without pattern. */
function noise(count: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(count)
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1
  for (let i = 0; i < count; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state >>> 16
  }
  return bytes
}

export interface RunOptions {
  readonly recordCount: number
  /** Runs of the same seed hold the same values, except those of `changed`. */
  readonly seed: number
  readonly valueBytes?: number
  /** Number of the run; with the seed it makes the identity. */
  readonly run?: number
  /** Records of `[from, to)` get other values. */
  readonly changed?: { readonly from: number; readonly to: number }
  /** Zero bytes behind every tenth record. */
  readonly padding?: number
}

/** Writes a run to `path`. */
export async function makeRun(
  fileSystem: FileSystem,
  path: string,
  options: RunOptions,
): Promise<RunFigures> {
  const { recordCount, seed, valueBytes = 100, run = 1, changed, padding = 0 } = options
  const id = Buffer.from(noise(16, seed * 1000 + run + (changed === undefined ? 0 : 500))).toString("hex")
  const writer = await RunWriter.create(fileSystem, path, {
    id,
    level: 0,
    run,
    version: 1,
    hashSeed: HASH_SEED,
  })
  const hasher = new KeyHasher(HASH_SEED)
  for (let i = 0; i < recordCount; i++) {
    const key = Buffer.from(`key-${String(i).padStart(12, "0")}`)
    const isChanged = changed !== undefined && i >= changed.from && i < changed.to
    const offset = writer.recordsBytes
    const patternSeed = seed * 1_000_003 + i + (isChanged ? 500_000 : 0)
    const pattern = noise(Math.min(valueBytes, PATTERN_BYTES), patternSeed)
    await writer.append(encodeRecord(key, Buffer.alloc(valueBytes, pattern)))
    if (padding > 0 && i % 10 === 9) await writer.append(new Uint8Array(padding))
    hasher.hash(key, 0, key.length)
    writer.entry(hasher.h1, hasher.h2, offset, false)
  }
  return writer.finish()
}

/** A manifest of `runs`, newest first, as version `version` of timeline `timeline`. */
export function makeManifest(
  runs: readonly StoredRun[],
  { version, timeline = "a", partition = 0 }: { version: number; timeline?: string; partition?: number },
): Manifest {
  return {
    format: 2,
    store: "default",
    partition,
    partitionCount: 4,
    timeline,
    version,
    epoch: 0,
    parent: null,
    line: [{ timeline, version }],
    createdMs: 1000 + version,
    engine: "hybrid-log",
    hashSeed: HASH_SEED,
    runs: [...runs].sort((a, b) => b.run - a.run),
    engineState: { version },
    metadata: Buffer.from(`metadata of ${version}`).toString("base64"),
    recordCount: runs.reduce((sum, { recordCount }) => sum + recordCount, 0),
    bytesNew: 0,
    bytesReused: 0,
  }
}
