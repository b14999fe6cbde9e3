// The examples in README.md are what the code writes.

import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { crc32 } from "node:zlib"
import { describe, expect, test } from "vitest"
import { ChunkListBuilder } from "./chunk-list.ts"
import { encodePackTail } from "./pack.ts"
import { encodeRecipe } from "./recipe.ts"
import { regionKinds } from "./region-kind.ts"

const readme = readFileSync(new URL("README.md", import.meta.url), "utf8")

/** The bytes of the example behind `title`: hex digits up to the remarks, which follow three spaces or more. */
function example(title: string): string {
  const block = readme.split(title)[1]?.split("```")[1]
  expect(block, title).toBeDefined()
  return block!
    .split("\n")
    .map((line) => line.split(/ {3,}/)[0]!.replaceAll(" ", ""))
    .join("")
}

describe("the README's examples", () => {
  test("pack", () => {
    const list = new ChunkListBuilder()
    const chunks = ["alpha", "be"].map((text) => Buffer.from(text))
    const kinds = [regionKinds.records, regionKinds.index]
    for (const [i, bytes] of chunks.entries()) {
      list.add(kinds[i]!, bytes.length, crc32(bytes), createHash("sha256").update(bytes).digest())
    }
    const pack = Buffer.concat([...chunks, encodePackTail("000102030405060708090a0b0c0d0e0f", list.build())])
    expect(example(`The pack of the chunks "alpha" (records) and "be" (index):`)).toBe(pack.toString("hex"))
  })

  test("recipe", () => {
    const recipe = encodeRecipe({
      run: "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
      runBytes: 100,
      packs: ["000102030405060708090a0b0c0d0e0f"],
      chunks: {
        count: 1,
        kinds: Uint8Array.of(regionKinds.records),
        lengths: Uint32Array.of(100),
        hashes: Uint8Array.from({ length: 32 }, (_, i) => i),
        packs: Uint32Array.of(0),
        offsets: Uint32Array.of(4096),
      },
    })
    expect(example("(hash `00 … 1f`) in one pack:")).toBe(Buffer.from(recipe).toString("hex"))
  })
})
