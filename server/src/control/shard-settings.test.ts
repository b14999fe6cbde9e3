import { deepStrictEqual, strictEqual } from "node:assert"
import { test } from "vitest"
import { parseSettings } from "../config/parse-settings.ts"
import { shardSettings } from "./shard-settings.ts"

test("shards divide the memory of the daemon; the rest is as it is set; no limit stays none", () => {
  const input = { flags: { shards: "4" }, environment: {}, file: undefined, currentDirectory: "/srv" }
  const { settings } = parseSettings(input)
  const own = shardSettings({ ...settings, storing: { ...settings.storing, mergeUploadBytesPerSecond: 0 } })
  strictEqual(own.blockCacheBytes, settings.blockCacheBytes / 4)
  strictEqual(own.chunkCacheBytes, settings.chunkCacheBytes / 4)
  strictEqual(own.limits.inflightBytesMax, settings.limits.inflightBytesMax / 4)
  strictEqual(own.storing.mergeUploadBytesPerSecond, 0)
  deepStrictEqual(own.stores, settings.stores)
})

test("shards: one pipeline finds room in each of them", () => {
  const input = { flags: { shards: "64" }, environment: {}, file: undefined, currentDirectory: "/srv" }
  const { settings } = parseSettings(input)
  const limits = { ...settings.limits, inflightBytesMax: settings.limits.streamInflightBytesMax }
  strictEqual(shardSettings({ ...settings, limits }).limits.inflightBytesMax, limits.streamInflightBytesMax)
})
