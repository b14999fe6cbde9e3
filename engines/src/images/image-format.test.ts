import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { crc32 } from "node:zlib"
import { describe, expect, test } from "vitest"
import { isEngineError } from "../base/error.ts"
import { regionKinds } from "../snapshots/region-kind.ts"
import { imageKey } from "../snapshots/repository-keys.ts"
import {
  decodeImage,
  decodeImageHeader,
  encodeImage,
  IMAGE_HEADER_BYTES,
  type ImageMap,
  imageBytes,
} from "./image-format.ts"

const ids = { image: "000102030405060708090a0b0c0d0e0f", pack: "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff" }
const key = imageKey({ name: "resize", id: ids.image })

/** Two regions: code of one chunk, memory of two pages of zeros, one chunk, and a page of zeros. */
function example(): ImageMap {
  const hashes = new Uint8Array(64)
  for (let i = 0; i < 64; i++) hashes[i] = i
  return {
    name: "resize",
    id: ids.image,
    createdMs: 1_790_000_000_000,
    bytes: 100 + 4 * 4096,
    chunkBytes: 100 + 4096,
    regions: [
      {
        kind: "code",
        storedAs: regionKinds.code,
        address: 0x400000n,
        bytes: 100,
        firstChunk: 0,
        chunkCount: 1,
      },
      {
        kind: "memory",
        storedAs: regionKinds.memory,
        address: 2n ** 64n - 4096n,
        bytes: 4 * 4096,
        firstChunk: 1,
        chunkCount: 1,
      },
    ],
    packs: [ids.pack, ids.image],
    chunks: {
      count: 2,
      kinds: Uint8Array.of(regionKinds.code, regionKinds.memory),
      hashes,
      zeroPages: Uint32Array.of(0, 2),
      offsets: Uint32Array.of(4096, 0),
      lengths: Uint32Array.of(100, 4096),
      packs: Uint32Array.of(0, 1),
    },
  }
}

/** The encoded example with `change` made to it and both checksums right again. */
function changed(change: (bytes: Uint8Array, view: DataView) => void): Uint8Array {
  const bytes = encodeImage(example())
  const view = new DataView(bytes.buffer)
  change(bytes, view)
  view.setUint32(124, crc32(bytes.subarray(0, 124)), true)
  bytes.set(
    createHash("sha256")
      .update(bytes.subarray(0, bytes.length - 32))
      .digest(),
    bytes.length - 32,
  )
  return bytes
}

function reasonOf(decode: () => unknown): string {
  try {
    decode()
  } catch (error) {
    if (isEngineError(error)) return error.reason
    throw error
  }
  return "none"
}

const regionsAt = IMAGE_HEADER_BYTES
const packsAt = regionsAt + 2 * 24
const entriesAt = packsAt + 2 * 16

describe("image", () => {
  test("comes back, and its header alone", () => {
    const encoded = encodeImage(example())
    expect(encoded.length).toBe(imageBytes(2, 2, 2))
    expect(decodeImage(encoded, key)).toEqual(example())
    const { regions, packs: _, chunks: __, ...summary } = example()
    expect(decodeImageHeader(encoded.subarray(0, IMAGE_HEADER_BYTES), key)).toEqual({
      ...summary,
      regionCount: regions.length,
    })
  })

  test("has the bytes that the README shows", () => {
    const readme = readFileSync(new URL("./README.md", import.meta.url), "utf8")
    const block = /```\n(56 49 4d 47[\s\S]*?)```/.exec(readme)?.[1]
    const shown = block!
      .split("\n")
      .flatMap((line) => line.split(/ {3,}/)[0]!.trim().split(/\s+/))
      .filter((word) => word !== "")
    expect(shown.join("")).toBe(Buffer.from(encodeImage(example())).toString("hex"))
  })

  test("every changed byte and every cut is found", () => {
    const encoded = encodeImage(example())
    for (let at = 0; at < encoded.length; at++) {
      const bytes = encoded.slice()
      bytes[at] = bytes[at]! ^ 0x10
      expect(
        reasonOf(() => decodeImage(bytes, key)),
        `byte ${at}`,
      ).toBe("DATA_LOSS")
      expect(
        reasonOf(() => decodeImage(encoded.subarray(0, at), key)),
        `cut at ${at}`,
      ).toBe("DATA_LOSS")
      if (at < IMAGE_HEADER_BYTES) expect(reasonOf(() => decodeImageHeader(bytes, key))).toBe("DATA_LOSS")
    }
    expect(reasonOf(() => decodeImage(Buffer.concat([encoded, Buffer.alloc(1)]), key))).toBe("DATA_LOSS")
  })

  test("of a newer format it is refused as such", () => {
    expect(
      reasonOf(() =>
        decodeImage(
          changed((_, view) => view.setUint16(4, 2, true)),
          key,
        ),
      ),
    ).toBe("FORMAT_NEWER")
  })

  test.each<[string, (bytes: Uint8Array, view: DataView) => void]>([
    ["magic", (bytes) => bytes.set([0], 0)],
    ["format 0", (_, view) => view.setUint16(4, 0, true)],
    ["reserved bytes of the header", (bytes) => bytes.set([1], 6)],
    ["another id", (bytes) => bytes.set([1], 8)],
    ["another name", (bytes) => bytes.set([0x61], 61)],
    ["a name that is none", (bytes) => bytes.set([0x2e], 61)],
    ["a name that is too long", (bytes) => bytes.set([64], 60)],
    ["bytes behind the name", (bytes) => bytes.set([1], 123)],
    ["a time above 2^53", (bytes) => bytes.set([0xff], 31)],
    ["bytes of the image", (_, view) => view.setUint32(32, 1_000_000, true)],
    ["bytes of the chunks", (_, view) => view.setUint32(40, 10, true)],
    ["no regions", (_, view) => view.setUint32(48, 0, true)],
    ["a region count out of bounds", (_, view) => view.setUint32(48, 0xffff_ffff, true)],
    ["a pack count out of bounds", (_, view) => view.setUint32(52, 0xffff_ffff, true)],
    ["an entry count out of bounds", (_, view) => view.setUint32(56, 0xffff_ffff, true)],
    ["a region without bytes", (_, view) => view.setUint32(regionsAt + 8, 0, true)],
    ["a region that is shorter than its chunks", (_, view) => view.setUint32(regionsAt + 8, 99, true)],
    ["entries of a region", (_, view) => view.setUint32(regionsAt + 16, 2, true)],
    ["more entries than there are", (_, view) => view.setUint32(regionsAt + 40, 7, true)],
    ["a kind of engine runs", (bytes) => bytes.set([regionKinds.records], regionsAt + 20)],
    ["chunks of another kind than other", (bytes) => bytes.set([regionKinds.memory], regionsAt + 21)],
    ["reserved bytes of a region", (bytes) => bytes.set([1], regionsAt + 22)],
    ["a pack that is named twice", (bytes) => bytes.copyWithin(packsAt + 16, packsAt, packsAt + 16)],
    ["a pack of two kinds", (_, view) => view.setUint32(entriesAt + 48 + 44, 0, true)],
    ["zeros that do not fit", (_, view) => view.setUint32(entriesAt + 48 + 32, 4, true)],
    ["a chunk of no length", (_, view) => view.setUint32(entriesAt + 40, 0, true)],
    ["a chunk that is too long", (_, view) => view.setUint32(entriesAt + 40, 2 ** 29, true)],
    ["a pack that is not there", (_, view) => view.setUint32(entriesAt + 44, 2, true)],
  ])("with right checksums, %s is damage", (_, change) => {
    expect(reasonOf(() => decodeImage(changed(change), key))).toBe("DATA_LOSS")
  })

  test("under another key it is another image", () => {
    const encoded = encodeImage(example())
    for (const other of [
      imageKey({ name: "resize2", id: ids.image }),
      imageKey({ name: "resize", id: ids.pack }),
    ]) {
      expect(reasonOf(() => decodeImage(encoded, other))).toBe("DATA_LOSS")
    }
  })
})
