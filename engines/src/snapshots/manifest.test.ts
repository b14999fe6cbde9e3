// A manifest is what makes a version exist: its bytes are pinned, each of them is broken, and each field is set
// wrong under a right hash.

import { createHash } from "node:crypto"
import { describe, expect, test } from "vitest"
import { isEngineError } from "../base/error.ts"
import {
  decodeManifest,
  encodeManifest,
  type Manifest,
  type StoredRun,
  summarizeManifest,
} from "./manifest.ts"
import { manifestKey } from "./repository-keys.ts"

function run(level: number, number: number): StoredRun {
  return {
    id: String(level * 16 + number).padStart(32, "0"),
    level,
    run: number,
    version: 6,
    bytes: 1000 + number,
    recordsBytes: 800,
    recordCount: 7,
    tombstoneCount: 2,
    recipe: { pack: "ab".repeat(16), offset: 4000, bytes: 188, hash: "cd".repeat(32) },
  }
}

const manifest: Manifest = {
  format: 2,
  store: "default",
  partition: 3,
  partitionCount: 4,
  timeline: "b",
  version: 7,
  epoch: 12,
  parent: { timeline: "a", version: 5 },
  line: [
    { timeline: "a", version: 5 },
    { timeline: "b", version: 7 },
  ],
  createdMs: 1_790_000_000_000,
  engine: "hybrid-log",
  hashSeed: 4_294_967_295,
  runs: [run(0, 3), run(0, 2), run(1, 1)],
  engineState: { tail: 12, nested: [null, "x"] },
  metadata: Buffer.from("offsets").toString("base64"),
  recordCount: 21,
  bytesNew: 500,
  bytesReused: 2506,
}

const key = manifestKey("default", 3, manifest)

function sealed(line: string): Buffer {
  return Buffer.from(`${line}\n${createHash("sha256").update(line).digest("hex")}\n`)
}

function reasonOf(source: Uint8Array, under = key): string {
  try {
    decodeManifest(source, under)
    return "none"
  } catch (error) {
    if (!isEngineError(error)) throw error
    expect(error.message).toContain(under)
    return error.reason
  }
}

describe("manifest", () => {
  test("bytes are pinned", () => {
    const small = { ...manifest, runs: [run(0, 3)], engineState: null, metadata: "" }
    expect(Buffer.from(encodeManifest(small)).toString()).toBe(
      `{"format":2,"store":"default","partition":3,"partitionCount":4,"timeline":"b","version":7,"epoch":12,` +
        `"parent":{"timeline":"a","version":5},"line":[{"timeline":"a","version":5},{"timeline":"b","version":7}],` +
        `"createdMs":1790000000000,"engine":"hybrid-log","hashSeed":4294967295,"runs":[{"id":"${"0".repeat(31)}3",` +
        `"level":0,"run":3,"version":6,"bytes":1003,"recordsBytes":800,"recordCount":7,"tombstoneCount":2,` +
        `"recipe":{"pack":"${"ab".repeat(16)}","offset":4000,"bytes":188,"hash":"${"cd".repeat(32)}"}}],` +
        `"engineState":null,"metadata":"","recordCount":21,"bytesNew":500,"bytesReused":2506}\n` +
        "c37f8602c28ecc7e6dd8291bbf3f6e26f568c3ecafc9529ef850f963e1ee094c\n",
    )
  })

  test("of format 1 has no epoch, and counts as epoch 0", () => {
    const { format: _format, epoch: _epoch, ...fields } = manifest
    const old = sealed(JSON.stringify({ format: 1, ...fields }))
    const under = manifestKey("default", 3, { ...manifest, epoch: 0 })
    expect(decodeManifest(old, under)).toEqual({ ...manifest, format: 1, epoch: 0 })
    expect(reasonOf(old)).toBe("DATA_LOSS")
  })

  test("comes back as it was, and again from what came back", () => {
    const decoded = decodeManifest(encodeManifest(manifest), key)
    expect(decoded).toEqual(manifest)
    expect(encodeManifest(decoded)).toEqual(encodeManifest(manifest))
  })

  test("every single-byte change is damage", () => {
    const good = encodeManifest(manifest)
    for (let at = 0; at < good.length; at++) {
      for (const flip of [0x01, 0x20, 0x80]) {
        const source = Buffer.from(good)
        source[at]! ^= flip
        expect(reasonOf(source), `byte ${at} changed by ${flip}`).toBe("DATA_LOSS")
      }
    }
  })

  test("every truncation, from either end, and every addition is damage", () => {
    const good = Buffer.from(encodeManifest(manifest))
    for (let bytes = 0; bytes < good.length; bytes++) {
      expect(reasonOf(good.subarray(0, bytes)), `first ${bytes} bytes`).toBe("DATA_LOSS")
      expect(reasonOf(good.subarray(good.length - bytes)), `last ${bytes} bytes`).toBe("DATA_LOSS")
    }
    for (const more of ["\n", " ", "{}"]) {
      expect(reasonOf(Buffer.concat([good, Buffer.from(more)]))).toBe("DATA_LOSS")
    }
  })

  const wrong: [string, object][] = [
    ["format", { format: 0 }],
    ["format that has no epoch", { format: 1 }],
    ["epoch missing", { epoch: undefined }],
    ["epoch below zero", { epoch: -1 }],
    ["epoch of another key", { epoch: 13 }],
    ["format text", { format: "1" }],
    ["store", { store: "other" }],
    ["partition", { partition: 2 }],
    ["partition count", { partitionCount: 3 }],
    ["partition count above the limit", { partitionCount: 16_385 }],
    ["timeline", { timeline: "c" }],
    ["version", { version: 8 }],
    ["version fraction", { version: 7.5 }],
    ["parent above", { parent: { timeline: "b", version: 7 } }],
    ["parent off the line", { parent: { timeline: "a", version: 6 } }],
    ["parent missing", { parent: undefined }],
    ["line empty", { line: [] }],
    ["line that ends elsewhere", { line: [{ timeline: "a", version: 5 }] }],
    ["line that does not ascend", { line: [{ timeline: "a", version: 7 }, manifest.line[1]] }],
    [
      "line that comes back",
      { parent: null, line: [{ timeline: "b", version: 3 }, manifest.line[0], manifest.line[1]] },
    ],
    ["line with a bad name", { line: [{ timeline: "A", version: 5 }, manifest.line[1]] }],
    ["created before time", { createdMs: -1 }],
    ["engine", { engine: "" }],
    ["hash seed", { hashSeed: 2 ** 32 }],
    ["runs", { runs: null }],
    ["runs out of order", { runs: [run(0, 2), run(0, 3)] }],
    ["the same run twice", { runs: [run(0, 3), { ...run(0, 2), id: run(0, 3).id }] }],
    ["run without a recipe", { runs: [{ ...run(0, 3), recipe: undefined }] }],
    ["run id", { runs: [{ ...run(0, 3), id: "ABCD" }] }],
    ["records longer than the run", { runs: [{ ...run(0, 3), recordsBytes: 1004 }] }],
    ["more tombstones than records", { runs: [{ ...run(0, 3), tombstoneCount: 8 }] }],
    ["recipe of no bytes", { runs: [{ ...run(0, 3), recipe: { ...run(0, 3).recipe, bytes: 0 } }] }],
    ["recipe hash", { runs: [{ ...run(0, 3), recipe: { ...run(0, 3).recipe, hash: "00" } }] }],
    ["engine state missing", { engineState: undefined }],
    ["metadata that is no base64", { metadata: "a" }],
    ["metadata too long", { metadata: Buffer.alloc(1024 * 1024 + 1).toString("base64") }],
    ["record count", { recordCount: -1 }],
    ["bytes new", { bytesNew: 1.5 }],
    ["bytes reused", { bytesReused: null }],
    ["a field too many", { more: 1 }],
  ]

  test.each(wrong)("a wrong field under a right hash is damage: %s", (_, change) => {
    expect(reasonOf(sealed(JSON.stringify({ ...manifest, ...change })))).toBe("DATA_LOSS")
  })

  test.each(
    wrong.filter(
      ([what]) => !["store", "partition", "timeline", "version", "epoch of another key"].includes(what),
    ),
  )("is not written with a wrong field: %s", (_, change) => {
    expect(() => encodeManifest({ ...manifest, ...change } as Manifest)).toThrow("invariant broken")
  })

  test("what is no JSON, or no object, is damage under a right hash", () => {
    for (const line of ["", "{", "null", "[]", "7", `${JSON.stringify(manifest)} \n`]) {
      expect(reasonOf(sealed(line)), line).toBe("DATA_LOSS")
    }
  })

  test("under the key of another version it is damage", () => {
    for (const other of [
      manifestKey("default", 3, { timeline: "b", version: 8, epoch: 12 }),
      manifestKey("default", 3, { timeline: "a", version: 7, epoch: 12 }),
      manifestKey("default", 3, { timeline: "b", version: 7, epoch: 0 }),
      manifestKey("default", 2, manifest),
      manifestKey("other", 3, manifest),
    ]) {
      expect(reasonOf(encodeManifest(manifest), other)).toBe("DATA_LOSS")
    }
  })

  test("a newer format is told from damage, whatever else it holds", () => {
    expect(reasonOf(sealed(`{"format":4,"things":[]}`))).toBe("FORMAT_NEWER")
    expect(reasonOf(Buffer.from(`{"format":4,"things":[]}\n${"0".repeat(64)}\n`))).toBe("DATA_LOSS")
  })

  test("metadata of 1 MiB fits", () => {
    const metadata = Buffer.alloc(1024 * 1024, 7).toString("base64")
    expect(decodeManifest(encodeManifest({ ...manifest, metadata }), key).metadata).toBe(metadata)
  })

  test("a manifest of more than 16 MiB is refused, and damage where there is one", () => {
    const engineState = "x".repeat(16 * 1024 * 1024)
    expect(reasonOf(sealed(JSON.stringify({ ...manifest, engineState })))).toBe("DATA_LOSS")
    expect(() => encodeManifest({ ...manifest, engineState })).toThrow(/at most 16777216/)
  })

  test("the summary has the bytes of all runs, and the metadata as bytes", () => {
    const { version, timeline, epoch, parent, line, createdMs } = manifest
    const { engine, partitionCount, recordCount, bytesNew } = manifest
    expect(summarizeManifest(manifest, true)).toEqual({
      ...{ version, timeline, epoch, parent, line, createdMs, engine, partitionCount, recordCount, bytesNew },
      bytes: 1003 + 1002 + 1001,
      metadata: Buffer.from("offsets"),
      pinned: true,
      pinNames: [],
    })
  })
})
