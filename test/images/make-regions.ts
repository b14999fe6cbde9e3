// Regions for tests of images: blocks of noise, each with a number, and pages of zeros. Regions that have blocks in common
// repeat as those of processes do.

import type { FileSystem, ImageKind, RegionSource, StoredImage } from "@varve/engines/internal"
import { SimulatedRandom } from "../simulation/index.ts"

const BLOCK_BYTES = 40 * 1024
const PAGE_BYTES = 4096

/** Bytes of a region: numbers of blocks, `"z3"` for three pages of zeros, `"t100"` for 100 bytes of noise. */
export function regionBytes(parts: readonly (number | string)[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === "number") return noise(part, BLOCK_BYTES)
      const count = Number(part.slice(1))
      return part.startsWith("z") ? Buffer.alloc(count * PAGE_BYTES) : noise(7777, count)
    }),
  )
}

/** One region of these parts. */
export function region(kind: ImageKind, ...parts: (number | string)[]): RegionSource & { bytes: Uint8Array } {
  return { kind, address: 0x7f00_0000_0000, bytes: regionBytes(parts) }
}

/** The same regions, their bytes in a new file at `path`. */
export async function inFile(
  fileSystem: FileSystem,
  path: string,
  regions: readonly (RegionSource & { bytes: Uint8Array })[],
): Promise<RegionSource[]> {
  await fileSystem.remove(path)
  const file = await fileSystem.open(path, "create")
  let offset = 0
  const placed: RegionSource[] = []
  for (const { bytes, ...rest } of regions) {
    await file.write(bytes, offset)
    placed.push({ ...rest, bytes: { path, offset, length: bytes.length } })
    offset += bytes.length
  }
  await file.close()
  return placed
}

/** All bytes of each region of an image, put together from its pieces, which must follow one another. */
export async function bytesOfImage(image: StoredImage): Promise<Uint8Array[]> {
  const regions = image.regions.map(({ bytes }) => new Uint8Array(bytes).fill(0xee))
  const ends = regions.map(() => 0)
  for await (const { region: index, offset, length, bytes } of image.pieces()) {
    if (offset !== ends[index])
      throw new Error(`a piece at ${offset} of region ${index}, not at ${ends[index]}`)
    if (bytes !== undefined && bytes.length !== length) throw new Error("a piece is not as long as it says")
    regions[index]!.set(bytes ?? new Uint8Array(length), offset)
    ends[index] = offset + length
  }
  return regions
}

const made = new Map<string, Buffer>()

/** The same for the same number; never changed. */
function noise(number: number, count: number): Buffer {
  const name = `${number} ${count}`
  const known = made.get(name) ?? Buffer.from(new SimulatedRandom(number).bytes(count))
  made.set(name, known)
  return known
}
