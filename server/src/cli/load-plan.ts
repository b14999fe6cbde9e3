// The frames of a load: which keys, in which partition, reads or writes. Everything is made before the clock
// starts, so that the load measures the daemon and not the making of keys.

import { encodeKeys, encodeRecords, partitionOfKey } from "@varve/proto"

export interface LoadOptions {
  readonly requests: number
  /** Records of a frame. */
  readonly batch: number
  /** Streams, each on a connection of its own with one frame on its way. */
  readonly clients: number
  readonly valueBytes: number
  readonly keys: number
  /** Percent of the frames that read. */
  readonly reads: number
}

export interface Frame {
  readonly partition: number
  readonly kind: "reads" | "writes"
  readonly records: number
  readonly bytes: Uint8Array
}

/** All keys of a load start with this. */
export const LOAD_KEY_PREFIX = "varve-bench:"
const KEY_DIGITS = 9
/** Frames made beforehand; a load that needs more sends them again. */
const FRAMES_MAX = 4096
/** Bytes of frames made beforehand, about. */
const FRAME_BYTES_MAX = 256 * 1024 * 1024

/** The keys of a load by partition. In stores that are partitioned explicitly they are dealt out in turn. */
export function loadKeys(count: number, partitionCount: number, explicit: boolean): Buffer[][] {
  const byPartition: Buffer[][] = Array.from({ length: partitionCount }, () => [])
  for (let i = 0; i < count; i++) {
    const key = Buffer.from(LOAD_KEY_PREFIX + String(i).padStart(KEY_DIGITS, "0"), "latin1")
    byPartition[explicit ? i % partitionCount : partitionOfKey(key, partitionCount)]!.push(key)
  }
  return byPartition
}

/** Frames with random keys, values and kinds, from a fixed seed. Partitions without keys get none. */
export function loadFrames(keys: readonly Buffer[][], options: LoadOptions): Frame[] {
  const random = seededRandom(1)
  const frameBytes = options.batch * (options.valueBytes + LOAD_KEY_PREFIX.length + KEY_DIGITS + 9)
  const affordable = Math.max(1, Math.floor(FRAME_BYTES_MAX / frameBytes))
  const wanted = Math.ceil(options.requests / options.batch)
  const partitions = keys.flatMap((own, partition) => (own.length > 0 ? [partition] : []))
  return Array.from({ length: Math.min(wanted, FRAMES_MAX, affordable) }, () => {
    const partition = partitions[random(partitions.length)]!
    const own = keys[partition]!
    const chosen = Array.from({ length: options.batch }, () => own[random(own.length)]!)
    if (random(100) < options.reads) {
      return { partition, kind: "reads", records: chosen.length, bytes: encodeKeys(chosen) }
    }
    return writeFrame(partition, chosen, () => Buffer.alloc(options.valueBytes, 97 + random(26)))
  })
}

/** Frames that write every key once; an empty value deletes. */
export function fillFrames(keys: readonly Buffer[][], batch: number, value: Buffer): Frame[] {
  return keys.flatMap((own, partition) => {
    const frames: Frame[] = []
    for (let at = 0; at < own.length; at += batch) {
      frames.push(writeFrame(partition, own.slice(at, at + batch), () => value))
    }
    return frames
  })
}

function writeFrame(partition: number, keys: readonly Buffer[], value: () => Buffer): Frame {
  const bytes = encodeRecords(keys.map((key) => ({ key, value: value() })))
  return { partition, kind: "writes", records: keys.length, bytes }
}

/** Whole numbers in `[0, bound)`, the same ones for the same seed (xorshift32, Marsaglia 2003). */
function seededRandom(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}
