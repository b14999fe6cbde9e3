// The root is what all users of a repository agree on: pinned, broken byte by byte, and set wrong.

import { createHash } from "node:crypto"
import { describe, expect, test } from "vitest"
import { isEngineError } from "../base/error.ts"
import { chunkingDefaults } from "./chunker.ts"
import { decodeRepositoryRoot, encodeRepositoryRoot, type RepositoryRoot } from "./repository-root.ts"

const root: RepositoryRoot = { format: 1, identity: "0f".repeat(16), chunking: chunkingDefaults }

function reasonOf(source: Uint8Array): string {
  try {
    decodeRepositoryRoot(source, "file:/r repository.json")
    return "none"
  } catch (error) {
    if (isEngineError(error)) return error.reason
    throw error
  }
}

function sealed(value: object): Buffer {
  const text = JSON.stringify(value).slice(0, -1)
  return Buffer.from(`${text},"checksum":"${createHash("sha256").update(text).digest("hex")}"}\n`)
}

describe("repository root", () => {
  test("bytes are pinned, and are JSON", () => {
    const text = Buffer.from(encodeRepositoryRoot(root)).toString()
    expect(text).toBe(
      `{"format":1,"identity":"${"0f".repeat(16)}","chunking":{"algorithm":"fastcdc-gear32","bytesMin":4096,` +
        `"bytesAverage":16384,"bytesMax":65536},"checksum":"9e5c4c408403ae8f2809ffb362c6f1eb8518987d1d87a7416b89afd5f775576d"}\n`,
    )
    expect(JSON.parse(text)).toMatchObject(root)
  })

  test("comes back as it was", () => {
    expect(decodeRepositoryRoot(encodeRepositoryRoot(root), "root")).toEqual(root)
  })

  test("every single-byte change and every truncation is damage", () => {
    const good = Buffer.from(encodeRepositoryRoot(root))
    for (let at = 0; at < good.length; at++) {
      expect(reasonOf(good.subarray(0, at)), `${at} bytes`).toBe("DATA_LOSS")
      for (const flip of [0x01, 0x20, 0x80]) {
        const source = Buffer.from(good)
        source[at]! ^= flip
        expect(reasonOf(source), `byte ${at} changed by ${flip}`).toBe("DATA_LOSS")
      }
    }
  })

  test.each([
    ["format", { format: 0 }],
    ["identity", { identity: "x" }],
    ["algorithm", { chunking: { ...chunkingDefaults, algorithm: "other" } }],
    ["chunk sizes", { chunking: { ...chunkingDefaults, bytesMin: 1 } }],
    ["a field too many", { more: 1 }],
  ])("a wrong field under a right checksum is damage: %s", (_, change) => {
    expect(reasonOf(sealed({ ...root, ...change }))).toBe("DATA_LOSS")
  })

  test("a newer format is told from damage", () => {
    expect(reasonOf(sealed({ format: 2, anything: true }))).toBe("FORMAT_NEWER")
  })
})
