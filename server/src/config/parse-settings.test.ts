// Settings: where they come from, who wins, and what is said about a wrong one.

import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert"
import { describe, test } from "vitest"
import { parseListenAddress, shardAddress } from "./address.ts"
import { nearestName } from "./nearest-name.ts"
import { parseSettings, type SettingInput } from "./parse-settings.ts"
import { type Settings, SettingsError } from "./settings.ts"
import { environmentName, flagProperty } from "./settings-table.ts"

function parse(input: Partial<SettingInput> & { yaml?: unknown } = {}): {
  settings: Settings
  warnings: string[]
} {
  return parseSettings({
    flags: input.flags ?? {},
    environment: input.environment ?? {},
    file: input.yaml === undefined ? undefined : { path: "/etc/varve.yaml", content: input.yaml },
    currentDirectory: "/srv",
  })
}

test("settings: without any, one store with the documented defaults, on loopback", () => {
  const { settings, warnings } = parse()
  deepStrictEqual(warnings, [])
  deepStrictEqual(settings.grpc, { host: "127.0.0.1", port: 7400 })
  deepStrictEqual(settings.http, { host: "127.0.0.1", port: 7480 })
  strictEqual(settings.dataDir, "/srv/data")
  strictEqual(settings.repository, "file:/srv/data/repository")
  strictEqual(settings.limits.messageBytesMax, 8 * 1024 * 1024)
  strictEqual(settings.blockCacheBytes, 64 * 1024 * 1024)
  strictEqual(settings.chunkCacheBytes, 16 * 1024 * 1024)
  deepStrictEqual(settings.stores, [
    {
      name: "default",
      engine: "hybrid-log",
      partitions: 4,
      durability: "snapshot",
      partitioning: "hash",
      valueBytesMax: 4 * 1024 * 1024,
      restoreMode: "lazy",
      recoveryFallback: "none",
      replacedStateSeconds: 3600,
      replacedStatesMax: 3,
      retention: { keepLast: 0, keepForMs: 0 },
      settings: {},
    },
  ])
})

test("settings: flags beat environment beats file beats default", () => {
  const yaml = { grpc: 1, stores: { default: { partitions: 1 } }, limits: { connectionsMax: 1 } }
  const environment = { VARVE_GRPC: ":2", VARVE_PARTITIONS: "2", VARVE_LIMITS_CONNECTIONS_MAX: "2" }
  const flags = { grpc: "[::1]:3", partitions: "3" }
  const port = (input: Parameters<typeof parse>[0]): unknown => {
    const { grpc } = parse(input).settings
    return "port" in grpc ? grpc.port : undefined
  }
  const partitions = (input: Parameters<typeof parse>[0]): number =>
    parse(input).settings.stores[0]!.partitions
  deepStrictEqual([port({ yaml }), partitions({ yaml })], [1, 1])
  deepStrictEqual([port({ yaml, environment }), partitions({ yaml, environment })], [2, 2])
  deepStrictEqual([port({ yaml, environment, flags }), partitions({ yaml, environment, flags })], [3, 3])
  strictEqual(parse({ yaml, environment }).settings.limits.connectionsMax, 2)
  strictEqual(parse({ flags: { dataDir: "/d", repository: "file:r" } }).settings.repository, "file:/srv/r")
  strictEqual(parse({ flags: { dataDir: "/d" } }).settings.repository, "file:/d/repository")
})

test("settings: retention of a store and garbage collection, with durations", () => {
  const yaml = {
    garbageCollection: { interval: "6h", grace: "2d", liveMin: 0 },
    stores: { counts: { retention: { keepLast: 5, keepFor: "7d" } } },
  }
  const { garbageCollection, stores } = parse({ yaml }).settings
  deepStrictEqual(garbageCollection, { intervalMs: 21_600_000, graceMs: 172_800_000, liveMin: 0 })
  deepStrictEqual(stores[0]!.retention, { keepLast: 5, keepForMs: 604_800_000 })
  const flags = { keepLast: "3", gcInterval: "90s" }
  const overridden = parse({ flags, environment: { VARVE_RETENTION_KEEP_FOR: "36h" } }).settings
  deepStrictEqual(overridden.stores[0]!.retention, { keepLast: 3, keepForMs: 129_600_000 })
  strictEqual(overridden.garbageCollection.intervalMs, 90_000)
})

test("settings: a repository is a URL, or in the file a map of a URL and how it is used", () => {
  const storing = { mergeUploadBytesPerSecond: 64 * 1024 * 1024, deduplication: true }
  deepStrictEqual(parse({ yaml: { repository: "file:/r" } }).settings.storing, storing)
  const yaml = { repository: { url: "file:/r", mergeUploadBytesPerSecond: 5000, deduplication: false } }
  const { repository, storing: fromFile } = parse({ yaml }).settings
  strictEqual(repository, "file:/r")
  deepStrictEqual(fromFile, { mergeUploadBytesPerSecond: 5000, deduplication: false })
  const environment = {
    VARVE_REPOSITORY_MERGE_UPLOAD_BYTES_PER_SECOND: "0",
    VARVE_REPOSITORY_DEDUPLICATION: "true",
  }
  const overridden = parse({ yaml, environment, flags: { repository: "file:/other" } }).settings
  strictEqual(overridden.repository, "file:/other")
  deepStrictEqual(overridden.storing, { mergeUploadBytesPerSecond: 0, deduplication: true })
  strictEqual(
    parse({ yaml: { repository: { deduplication: true } } }).settings.repository,
    "file:/srv/data/repository",
  )
})

test("settings: a bucket is a repository, written in one way", () => {
  const repository = "s3://bucket/a/b/?writers=many&region=eu-central-1&endpoint=http://127.0.0.1:9000/"
  strictEqual(
    parse({ flags: { repository } }).settings.repository,
    "s3://bucket/a/b?endpoint=http://127.0.0.1:9000&region=eu-central-1",
  )
})

test("settings: flags for the default store leave the file's other stores alone", () => {
  const yaml = { stores: { counts: { engine: "memory", partitioning: "explicit", settings: {} } } }
  deepStrictEqual(
    parse({ yaml }).settings.stores.map(({ name, engine }) => [name, engine]),
    [["counts", "memory"]],
  )
  deepStrictEqual(
    parse({ yaml, flags: { engine: "hybrid-log" } }).settings.stores.map(({ name, engine }) => [
      name,
      engine,
    ]),
    [
      ["counts", "memory"],
      ["default", "hybrid-log"],
    ],
  )
})

describe("settings: a wrong one is named with its value, its source and what is allowed", () => {
  test.each<[Parameters<typeof parse>[0], RegExp]>([
    [
      { flags: { grpc: "nowhere" } },
      /^grpc: "nowhere" \(from flag --grpc\) is not allowed; allowed: HOST:PORT/,
    ],
    [{ flags: { grpc: "127.0.0.1:65536" } }, /^grpc: "127.0.0.1:65536"/],
    [
      { flags: { http: `unix:/${"x".repeat(107)}` } },
      /^http: the path .* has 108 bytes; allowed: 107 or less/,
    ],
    [
      { yaml: { repository: { uri: "file:/r" } } },
      /^repository\.uri: no such setting .*mean repository\.url\?/,
    ],
    [
      { yaml: { repository: { url: "http://secret@h" } } },
      /^repository: "http:..…@h" .*neither file: nor s3:/,
    ],
    [{ yaml: { repository: 5 } }, /^repository: must be a map/],
    [{ yaml: { repository: { deduplication: "no" } } }, /^repository\.deduplication: "no" .*true, false/],
    [{ flags: { socketMode: "888" } }, /^socketMode: "888".*octal/],
    [
      { yaml: { stores: { s: { settings: { flushIntervall: 1 } } } } },
      /^stores\.s\.settings\.flushIntervall: .*did you mean flushInterval\? allowed: memSegmentLength, /,
    ],
    [
      { yaml: { stores: { s: { settings: { maxRunsPerLevel: 1 } } } } },
      /^stores\.s\.settings\.maxRunsPerLevel: 1 \(from file .*is not allowed; .*2/,
    ],
    [
      { environment: { VARVE_PARTITIONS: "257" } },
      /"257" \(from environment variable VARVE_PARTITIONS\).*1 to 256/,
    ],
    [{ environment: { VARVE_PARTITIONS: "4.5" } }, /"4.5"/],
    [
      { yaml: { stores: { default: { partitions: "x" } } } },
      /stores.default.partitions: "x" \(from file \/etc\/varve/,
    ],
    [{ yaml: { stores: { default: { engine: "btree" } } } }, /allowed: memory, append-log/],
    [{ yaml: { stores: { default: { engin: "memory" } } } }, /stores.default.engin: .*did you mean engine\?/],
    [{ yaml: { limits: { messageBytes: 1 } } }, /limits.messageBytes: no such setting/],
    [{ yaml: { grcp: ":1" } }, /grcp: no such setting.*did you mean grpc\?/],
    [{ yaml: { stores: { "": {} } } }, /no name of a store/],
    [{ yaml: { stores: { "a/b": {} } } }, /no name of a store/],
    [{ yaml: { stores: { A: {} } } }, /no name of a store/],
    [
      { yaml: { garbageCollection: { grace: "1h" } } },
      /^garbageCollection\.grace: "1h" .*allowed: 12h to 3650d: a number and ms, s, m, h, d or w/,
    ],
    [{ yaml: { garbageCollection: { liveMin: 1.5 } } }, /liveMin: 1.5 .*allowed: 0 to 1/],
    [
      { flags: { gcInterval: "soon" } },
      /"soon" \(from flag --gc-interval\).*allowed: 0 \(off\), or 1s to 3650d/,
    ],
    [{ yaml: { stores: { s: { retention: { keepFor: 7 } } } } }, /^stores\.s\.retention\.keepFor: 7 /],
    [
      { yaml: { stores: { s: { retention: { keepLst: 7 } } } } },
      /^stores\.s\.retention\.keepLst: .*did you mean retention\.keepLast\?/,
    ],
    [{ yaml: { stores: { s: { retention: 7 } } } }, /^stores\.s\.retention: must be a map/],
    [{ yaml: [] }, /must be a map/],
    [{ yaml: { stores: 5 } }, /stores: must be a map/],
    [
      { yaml: { limits: { messageBytesMax: 1024 * 1024 } } },
      /cannot hold the largest record of store default/,
    ],
    [
      { yaml: { limits: { inflightBytesMax: 1024 * 1024 } } },
      /limits.streamInflightBytesMax: \d+ is more than limits.inflightBytesMax/,
    ],
    [{ flags: { durability: "never" } }, /durability: "never".*allowed: snapshot, log/],
    [{ flags: { shards: "65" } }, /shards: "65".*1 to 64, or auto/],
    [{ flags: { shards: "2", grpc: ":65535" } }, /^grpc: port 65536 of shard 1/],
    [{ flags: { repository: "./versions" } }, /repository: ".\/versions".*neither file: nor s3:.*file:DIR/],
    [{ flags: { repository: "s3://b/p" } }, /repository: "s3:\/\/b\/p".*3 to 63.*file:DIR/],
    [
      { flags: { repository: "s3://bucket?regoin=x" } },
      /"s3:\/\/bucket\?…".*no setting regoin; allowed: endpoint/,
    ],
    [
      { flags: { repository: "s3://KEY:word@bucket" } },
      /^repository: "s3:\/\/…@bucket" .*has credentials(?!.*word)/,
    ],
    [{ environment: { VARVE_LOG_LEVEL: "loud" } }, /log.level: "loud".*debug, info/],
  ])("%j", (input, message) => {
    throws(
      () => parse(input),
      (error) => {
        ok(error instanceof SettingsError)
        match(error.message, message)
        return true
      },
    )
  })
})

test("settings: a misspelt variable is warned of; other programs' variables are not ours to judge", () => {
  const environment = { VARVE_GRCP: ":1", VARVE_SERVICE_HOST: "10.0.0.1", VARVE_PORT_7400_TCP_PROTO: "tcp" }
  const { warnings } = parse({ environment })
  strictEqual(warnings.length, 1)
  match(warnings[0]!, /VARVE_GRCP is not used; did you mean VARVE_GRPC/)
})

test("addresses: what is understood, and what is not", () => {
  deepStrictEqual(
    [
      ...["7400", ":7400", "0.0.0.0:1", "localhost:0", "[::1]:80", "[::]:80"],
      ...["unix:/run/v.sock", "unix:///run/v.sock", "unix:v.sock"],
    ].map(parseListenAddress),
    [
      { host: "127.0.0.1", port: 7400 },
      { host: "127.0.0.1", port: 7400 },
      { host: "0.0.0.0", port: 1 },
      { host: "localhost", port: 0 },
      { host: "::1", port: 80 },
      { host: "::", port: 80 },
      { path: "/run/v.sock" },
      { path: "/run/v.sock" },
      { path: "v.sock" },
    ],
  )
  for (const text of [
    "",
    "host",
    "host:",
    "host:99999",
    "a b:1",
    "::1:80",
    "[]:1",
    "host:1:2",
    "unix:",
    "unix:/x/",
    "-1",
  ]) {
    strictEqual(parseListenAddress(text), undefined, text)
  }
})

test("addresses: each shard has its own; the path of a socket becomes absolute", () => {
  const { settings } = parse({ flags: { grpc: "unix:v.sock" } })
  deepStrictEqual(settings.grpc, { path: "/srv/v.sock" })
  strictEqual(settings.socketMode, 0o600)
  deepStrictEqual(shardAddress(settings.grpc, 0), settings.grpc)
  deepStrictEqual(shardAddress(settings.grpc, 2), { path: "/srv/v.sock.2" })
  deepStrictEqual(shardAddress({ host: "h", port: 7400 }, 2), { host: "h", port: 7402 })
  deepStrictEqual(shardAddress({ host: "h", port: 0 }, 2), { host: "h", port: 0 })
})

test("names: of variables, of flags, and the nearest one", () => {
  strictEqual(environmentName("limits.messageBytesMax"), "VARVE_LIMITS_MESSAGE_BYTES_MAX")
  strictEqual(environmentName("dataDir"), "VARVE_DATA_DIR")
  strictEqual(flagProperty("--data-dir"), "dataDir")
  strictEqual(nearestName("partitons", ["engine", "partitions", "partitioning"]), "partitions")
  strictEqual(nearestName("x", ["engine", "partitions"]), undefined)
})
