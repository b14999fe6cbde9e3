// What an image is made of, as callers give it: checked, and cut into slices that jobs can hold.

import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import { regionKinds } from "../snapshots/region-kind.ts"
import { type ImageKind, imageKinds, PAGE_BYTES, REGION_COUNT_MAX } from "./image-format.ts"

/** A slice is at most so long; a multiple of a page. Chunks end where slices do. */
const SLICE_BYTES = 4 * 1024 * 1024
/** Slices of one job: together at most SLICE_BYTES, and so many. */
const SLICES_MAX = 256
const ADDRESS_MAX = 2n ** 64n - 1n

/** Part of a file that stays as it is until the call is over. */
export interface FileRange {
  /** Absolute. */
  readonly path: string
  /** Of its first byte in the file. */
  readonly offset: number
  /** In bytes. */
  readonly length: number
}

/** A region to store. Bytes are left alone by the caller until the call is over. */
export interface RegionSource {
  /** What it holds. */
  readonly kind: ImageKind
  /** Where it lay; 0 to 2^64 - 1, and kept as it is. @default 0 */
  readonly address?: bigint | number
  /** At least one byte. */
  readonly bytes: Uint8Array | FileRange
}

/** `[offset, offset + bytes)` of a region. */
export interface Slice {
  readonly source: Uint8Array | FileRange
  readonly offset: number
  readonly bytes: number
  /** Kind of its chunks. */
  readonly storedAs: number
  /** Index of its region, and whether it is that one's last slice. */
  readonly region: number
  readonly isLast: boolean
}

/** A region's address. */
export function sourceAddress({ address = 0n }: RegionSource): bigint {
  return BigInt(address)
}

/** @throws EngineError `SETTING_INVALID` */
export function checkRegions(regions: readonly RegionSource[]): void {
  if (regions.length === 0 || regions.length > REGION_COUNT_MAX) {
    throw invalid(`an image has 1 to ${REGION_COUNT_MAX} regions, not ${regions.length}`)
  }
  for (const [i, region] of regions.entries()) {
    if (!imageKinds.includes(region.kind)) {
      throw invalid(`region ${i} is of no kind: ${imageKinds.join(", ")}`)
    }
    const { address = 0n, bytes } = region
    if (typeof address === "number" && !Number.isSafeInteger(address)) {
      throw invalid(`the address of region ${i}, ${address}, is no whole number`)
    }
    const wide = BigInt(address)
    if (wide < 0n || wide > ADDRESS_MAX)
      throw invalid(`the address of region ${i}, ${wide}, is out of bounds`)
    const { offset, length } = "path" in bytes ? bytes : { offset: 0, length: bytes.length }
    if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(offset + length) || length < 1) {
      throw invalid(`region ${i} has ${length} bytes from ${offset} on; it needs at least one`)
    }
  }
}

/** A copy that a job may be given for good; of a `Buffer`, too, whose own `slice` copies nothing. */
export function copyOf(source: Uint8Array, offset: number, bytes: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes)
  copy.set(source.subarray(offset, offset + bytes))
  return copy
}

/** The regions in order, as batches of slices. @param isApart whether chunks keep the kinds of their regions */
export function* sliceBatches(regions: readonly RegionSource[], isApart: boolean): Generator<Slice[]> {
  let batch: Slice[] = []
  let room = SLICE_BYTES
  for (const [region, { kind, bytes: source }] of regions.entries()) {
    const storedAs = isApart ? regionKinds[kind] : regionKinds.other
    for (let offset = 0; offset < source.length; ) {
      const bytes = Math.min(SLICE_BYTES, source.length - offset)
      if (bytes > room || batch.length === SLICES_MAX) {
        yield batch
        batch = []
        room = SLICE_BYTES
      }
      batch.push({ source, offset, bytes, storedAs, region, isLast: offset + bytes === source.length })
      offset += bytes
      room -= bytes
    }
  }
  if (batch.length > 0) yield batch
}

assert(SLICE_BYTES % PAGE_BYTES === 0, "slices are made of pages")

function invalid(message: string): EngineError {
  return new EngineError("SETTING_INVALID", message)
}
