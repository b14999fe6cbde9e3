import { describe, expect, test } from "vitest"
import { chunkingDefaults } from "../snapshots/chunker.ts"
import { regionKinds } from "../snapshots/region-kind.ts"
import { cutSlice } from "./cut-slices.ts"

const PAGE = 4096

/** Bytes without pattern. */
function noise(count: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(count)
  let state = Math.imul(seed, 0x9e3779b1) | 1
  for (let i = 0; i < count; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state >>> 16
  }
  return bytes
}

function cut(bytes: Uint8Array) {
  const { chunks, zeroPages, zeroPagesBehind } = cutSlice(bytes, regionKinds.memory, chunkingDefaults)
  return { lengths: [...chunks.lengths], zeroPages: [...zeroPages], zeroPagesBehind, hashes: chunks.hashes }
}

describe("cutting a slice", () => {
  test("leaves zero pages out, wherever they are", () => {
    const zeros = new Uint8Array(3 * PAGE)
    const slice = Buffer.concat([zeros, noise(PAGE, 1), zeros, noise(2 * PAGE, 2), zeros])
    expect(cut(slice)).toMatchObject({ lengths: [PAGE, 2 * PAGE], zeroPages: [3, 3], zeroPagesBehind: 3 })
  })

  test("counts whole pages: zeros that are not aligned, or fewer than a page, are bytes like others", () => {
    const slice = new Uint8Array(4 * PAGE)
    slice[PAGE + 7] = 1
    expect(cut(slice)).toMatchObject({ lengths: [PAGE], zeroPages: [1], zeroPagesBehind: 2 })
    expect(cut(new Uint8Array(PAGE + 5))).toMatchObject({ lengths: [], zeroPagesBehind: 1 })
    const last = new Uint8Array(PAGE + 5)
    last[PAGE + 4] = 1
    expect(cut(last)).toMatchObject({ lengths: [5], zeroPages: [1], zeroPagesBehind: 0 })
    const tail = Buffer.concat([noise(PAGE, 3), new Uint8Array(9)])
    expect(cut(tail)).toMatchObject({ lengths: [PAGE], zeroPages: [0], zeroPagesBehind: 0 })
  })

  test("finds the same chunks where the bytes lie elsewhere, also off a page", () => {
    const bytes = noise(400_000, 4)
    const namesOf = ({ hashes }: ReturnType<typeof cut>): Set<string> =>
      new Set(
        Array.from({ length: hashes.length / 32 }, (_, i) =>
          Buffer.from(hashes.subarray(i * 32, i * 32 + 32)).toString("hex"),
        ),
      )
    const here = namesOf(cut(bytes))
    const there = namesOf(cut(Buffer.concat([noise(10_007, 5), bytes])))
    const shared = [...here].filter((name) => there.has(name))
    expect(shared.length).toBeGreaterThan(here.size * 0.8)
  })
})
