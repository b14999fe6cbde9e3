// Keys: what is built can be parsed, what was not built cannot, and bad names never become a part of one.

import { describe, expect, test } from "vitest"
import { isEngineError } from "../base/error.ts"
import {
  checkStoreName,
  checkVersionName,
  imageKey,
  manifestKey,
  newPackId,
  ownerKey,
  packKey,
  parseImageKey,
  parseOwnerKey,
  parsePackFolder,
  parsePackKey,
  parseVersionKey,
  partitionPrefix,
  pinKey,
} from "./repository-keys.ts"

function reasonOf(act: () => unknown): string {
  try {
    act()
    return "none"
  } catch (error) {
    if (isEngineError(error)) return error.reason
    throw error
  }
}

const name = { timeline: "0m-a", version: 7 }
const written = { ...name, epoch: 12 }

describe("repository keys", () => {
  test("of versions are pinned and come back", () => {
    const key = "stores/default/12/0m-a/0000000000000007-0000000000000012.manifest"
    expect(manifestKey("default", 12, written)).toBe(key)
    const without = manifestKey("default", 12, { ...name, epoch: 0 })
    expect(without).toBe("stores/default/12/0m-a/0000000000000007.manifest")
    expect(pinKey("default", 12, name)).toBe("stores/default/12/0m-a/0000000000000007.pin")
    const parsed = { store: "default", partition: 12, ...name }
    expect(parseVersionKey(key)).toEqual({ ...parsed, what: "manifest", epoch: 12 })
    expect(parseVersionKey(without)).toEqual({ ...parsed, what: "manifest", epoch: 0 })
    expect(parseVersionKey(pinKey("default", 12, name))).toEqual({ ...parsed, what: "pin", name: "" })
    const named = "stores/default/12/0m-a/0000000000000007.before-2.0.pin"
    expect(pinKey("default", 12, name, "before-2.0")).toBe(named)
    expect(parseVersionKey(named)).toEqual({ ...parsed, what: "pin", name: "before-2.0" })
  })

  test("of versions sort by number within a timeline", () => {
    const numbers = [1, 9, 10, 99, 1_000_000, Number.MAX_SAFE_INTEGER]
    const keys = numbers.map((version) => manifestKey("a", 0, { timeline: "t", version, epoch: 3 }))
    expect([...keys].sort()).toEqual(keys)
    expect(keys.map((key) => parseVersionKey(key)?.version)).toEqual(numbers)
  })

  test.each([
    "stores/default/0/t/7.manifest",
    "stores/default/0/t/0000000000000000.manifest",
    "stores/default/0/t/9999999999999999.manifest",
    "stores/default/00/t/0000000000000007.manifest",
    "stores/default/16384/t/0000000000000007.manifest",
    "stores/default/0/T/0000000000000007.manifest",
    "stores/-default/0/t/0000000000000007.manifest",
    "stores/default/0/t/0000000000000007.manifest.tmp",
    "stores/default/0/t/x/0000000000000007.manifest",
    "stores/default/0/t/0000000000000007-0000000000000000.manifest",
    "stores/default/0/t/0000000000000007-1.manifest",
    "stores/default/0/t/0000000000000007-0000000000000012.pin",
    "stores/default/0/t/0000000000000007..pin",
    "stores/default/0/t/0000000000000007.A.pin",
    "stores/default/0/t/0000000000000007-0000000000000012.nightly.pin",
    "stores/default/0/t/0000000000000007.nightly.manifest",
    "stores/default/0/owner",
    "stores/default/0/owner/0000000000000007.claim",
    "stores/default/0/owner/0000000000000007.manifest",
  ])("%s is no version", (key) => {
    expect(parseVersionKey(key)).toBeUndefined()
  })

  test.each(["", "-a", "A", "a.b", "a/b", "..", "a".repeat(64), "a\n", "ü"])(
    "%o is no name for a store",
    (store) => {
      expect(reasonOf(() => checkStoreName(store))).toBe("STORE_NAME_INVALID")
      expect(reasonOf(() => partitionPrefix(store, 0))).toBe("STORE_NAME_INVALID")
    },
  )

  test.each(["a", "0", "a-", "default-2", "a".repeat(63)])("%o is a name for a store", (store) => {
    expect(reasonOf(() => checkStoreName(store))).toBe("none")
  })

  test.each([
    ["t", 0],
    ["t", -1],
    ["t", 1.5],
    ["t", 2 ** 53],
    ["t", Number.NaN],
    ["", 1],
    ["T", 1],
    ["..", 1],
    ["a/b", 1],
    ["a\n", 1],
    ["a".repeat(41), 1],
    ["owner", 1],
  ])("timeline %o, version %d is no name", (timeline, version) => {
    expect(reasonOf(() => checkVersionName({ timeline, version }))).toBe("VERSION_INVALID")
    expect(reasonOf(() => manifestKey("a", 0, { timeline, version, epoch: 1 }))).toBe("VERSION_INVALID")
  })

  test("of owners are pinned and come back, and no others", () => {
    for (const what of ["claim", "inheritance"] as const) {
      const key = ownerKey("default", 12, { epoch: 7, what })
      expect(key).toBe(`stores/default/12/owner/0000000000000007.${what}`)
      expect(parseOwnerKey(key)).toEqual({ epoch: 7, what })
      for (const other of [`${key}.tmp`, key.replace("7.", "0."), key.replace("/12/", "/012/")]) {
        expect(parseOwnerKey(other), other).toBeUndefined()
      }
    }
    expect(parseOwnerKey(manifestKey("default", 12, written))).toBeUndefined()
    expect(() => ownerKey("default", 12, { epoch: 0, what: "claim" })).toThrow("invariant")
  })

  test.each(["-a", "A", ".a", "a/b", "..", "a".repeat(64), "a\n", "ü"])("%o is no name for a pin", (pin) => {
    expect(reasonOf(() => pinKey("a", 0, name, pin))).toBe("SETTING_INVALID")
  })

  test("a partition out of bounds is a bug", () => {
    for (const partition of [-1, 16_384, 0.5])
      expect(() => partitionPrefix("a", partition)).toThrow("invariant")
  })

  test("of packs come back, and others do not", () => {
    const id = "0123456789abcdef0123456789abcdef"
    expect(packKey(id)).toBe(`packs/records/${id}.pack`)
    expect(parsePackKey(packKey(id))).toBe(id)
    expect(packKey(id, "memory")).toBe(`packs/memory/${id}.pack`)
    expect([parsePackKey(packKey(id, "code")), parsePackFolder(packKey(id, "code"))]).toEqual([id, "code"])
    for (const key of [
      `packs/records/${id}`,
      `packs/index/${id}.pack`,
      `packs/records/${id.slice(1)}.pack`,
    ]) {
      expect(parsePackKey(key), key).toBeUndefined()
    }
  })

  test("of images come back, and others do not", () => {
    const image = { name: "resize.v2", id: "0123456789abcdef0123456789abcdef" }
    const key = imageKey(image)
    expect(key).toBe(`images/resize.v2/${image.id}.image`)
    expect(parseImageKey(key)).toEqual(image)
    for (const other of [`images/-a/${image.id}.image`, `images/a/b/${image.id}.image`, `${key}s`]) {
      expect(parseImageKey(other), other).toBeUndefined()
    }
    for (const bad of [
      { ...image, name: "../a" },
      { ...image, name: "" },
      { ...image, id: "7" },
    ]) {
      expect(reasonOf(() => imageKey(bad))).toBe("SETTING_INVALID")
    }
  })

  test("identities of packs sort by their time", () => {
    const random = { bytes: (count: number) => new Uint8Array(count).fill(0xab) }
    const at = (ms: number) => newPackId({ nowMs: () => ms } as Parameters<typeof newPackId>[0], random)
    expect(at(1_790_000_000_000)).toBe(`01a0c4506c00${"ab".repeat(10)}`)
    const ids = [at(0), at(255), at(1_790_000_000_000), at(2 ** 48 - 1)]
    expect([...ids].sort()).toEqual(ids)
  })
})
