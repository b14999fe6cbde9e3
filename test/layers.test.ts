// The arrows between packages and inside engines, and the words that do not occur. The rules are in
// `layers/`; here they are shown to bite on small made-up files, and then run over the whole repository.

import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"
import { checkArrows, checkDependencies, type Violation } from "./layers/arrows.ts"
import { checkBans } from "./layers/bans.ts"
import { importsOf, readSource } from "./layers/source-text.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const packages = ["proto", "engines", "client", "server"]

/** Every TypeScript file that people wrote. */
function sourcePaths(): string[] {
  return [...packages.map((name) => `${name}/src`), "client/examples", "test"].flatMap((folder) =>
    readdirSync(`${root}/${folder}`, { recursive: true, encoding: "utf8" })
      .map((name) => `${folder}/${name}`)
      .filter((path) => path.endsWith(".ts") && !path.startsWith("proto/src/gen/")),
  )
}

function describeViolations(violations: readonly Violation[]): string[] {
  return violations.map(({ path, line, message }) => `${path}:${line}: ${message}`)
}

function arrowsOf(path: string, text: string): string[] {
  return checkArrows(readSource(path, text)).map((violation) => violation.message)
}

function bansOf(path: string, text: string): string[] {
  return checkBans(readSource(path, text)).map((violation) => violation.message)
}

describe("layers: the repository", () => {
  const sources = sourcePaths().map((path) => readSource(path, readFileSync(`${root}/${path}`, "utf8")))

  test("holds files of every package, so that the checks below see something", () => {
    for (const folder of [...packages.map((name) => `${name}/src`), "client/examples"])
      expect(sources.some(({ path }) => path.startsWith(`${folder}/`))).toBe(true)
    expect(sources.flatMap((source) => importsOf(source)).length).toBeGreaterThan(50)
  })

  test("imports follow the arrows", () => {
    expect(describeViolations(sources.flatMap((source) => checkArrows(source)))).toEqual([])
  })

  test("uses no banned word", () => {
    expect(describeViolations(sources.flatMap((source) => checkBans(source)))).toEqual([])
  })

  test("packages depend along the arrows", () => {
    const violations = packages.flatMap((name) => {
      const manifest = JSON.parse(readFileSync(`${root}/${name}/package.json`, "utf8")) as Record<
        string,
        object
      >
      const kinds = ["dependencies", "optionalDependencies", "peerDependencies"]
      return checkDependencies(
        name,
        kinds.flatMap((kind) => Object.keys(manifest[kind] ?? {})),
      )
    })
    expect(describeViolations(violations)).toEqual([])
  })
})

describe("layers: between packages", () => {
  test.each([
    ["client/src/connect.ts", 'import { startDaemon } from "@varve/server"'],
    ["client/src/connect.ts", 'import type { Engine } from "@varve/engines"'],
    ["server/src/cli/get.ts", 'import { connect } from "@varve/client"'],
    ["proto/src/errors.ts", 'export { EngineError } from "@varve/engines"'],
    ["engines/src/engine.ts", 'import { slotOfKey } from "@varve/proto"'],
    ["engines/src/io/http.ts", 'import { request } from "node:http"'],
    ["engines/src/io/grpc.ts", 'import { Client } from "@grpc/grpc-js"'],
    ["client/src/connect.ts", 'const server = await import("@varve/server")'],
    ["client/src/connect.ts", 'import { errors } from "../../proto/src/errors.ts"'],
    ["server/src/control/store.ts", 'import { openEngine } from "@varve/engines/dist/index.js"'],
    ["client/src/connect.ts", 'import {\n  errors,\n} from "@varve/proto/internal"'],
    ["client/examples/worker.ts", 'import { VarveError } from "@varve/proto"'],
    ["client/examples/worker.ts", 'import { connect } from "../src/index.ts"'],
    ["client/examples/worker.ts", 'import { z } from "zod"'],
  ])("%s may not say %s", (path, text) => {
    expect(arrowsOf(path, text)).toHaveLength(1)
  })

  test.each([
    ["client/src/connect.ts", 'import { errors } from "@varve/proto"'],
    ["server/src/control/store.ts", 'import { Repository } from "@varve/engines/internal"'],
    ["test/demo/main.ts", 'import { connect } from "@varve/client"'],
    ["client/examples/worker.ts", 'import { connect } from "@varve/client"\nimport { open } from "node:fs"'],
    ["client/src/connect.ts", '// import { startDaemon } from "@varve/server"'],
    ["client/src/connect.ts", 'const text = `import { startDaemon } from "@varve/server"`'],
  ])("%s may say %s", (path, text) => {
    expect(arrowsOf(path, text)).toEqual([])
  })

  test("a dependency against the arrows is found", () => {
    expect(checkDependencies("client", ["@varve/proto", "@grpc/grpc-js"])).toEqual([])
    expect(checkDependencies("client", ["@varve/engines"])).toHaveLength(1)
    expect(checkDependencies("engines", ["zod", "fastify"])).toHaveLength(1)
  })
})

describe("layers: inside server", () => {
  test.each([
    ["server/src/shard/shard.ts", 'import type { Store } from "../control/store.ts"'],
    ["server/src/grpc/frame.ts", 'import { checkLineage } from "../control/store.ts"'],
    ["server/src/control/shards.ts", 'import { GrpcServer } from "../grpc/grpc-server.ts"'],
    ["server/src/control/shards.ts", 'import { startDaemon } from "../main/start-daemon.ts"'],
    ["server/src/threads/shard.ts", 'import { Peer } from "../shard/peer.ts"'],
  ])("%s may not say %s", (path, text) => {
    expect(arrowsOf(path, text)).toHaveLength(1)
  })

  test.each([
    ["server/src/control/store.ts", 'import { checkLineage } from "../shard/lineage.ts"'],
    ["server/src/shard/shard.ts", 'import { GrpcServer } from "../grpc/grpc-server.ts"'],
    ["server/src/shard/shard.ts", 'import type { Log } from "../log.ts"'],
    ["server/src/index.ts", 'export { startDaemon } from "./main/start-daemon.ts"'],
  ])("%s may say %s", (path, text) => {
    expect(arrowsOf(path, text)).toEqual([])
  })
})

describe("layers: inside engines", () => {
  test.each([
    ["engines/src/base/record.ts", 'import type { File } from "../io/file-system.ts"'],
    ["engines/src/io/clock.ts", 'import { OpenRun } from "../runs/open-run.ts"'],
    ["engines/src/runs/merge.ts", 'import { Manifest } from "../snapshots/manifest.ts"'],
    ["engines/src/runs/merge.ts", 'import { append } from "../log/append.ts"'],
    ["engines/src/snapshots/commit.ts", 'import { MemoryCore } from "../engines/memory/memory-core.ts"'],
    ["engines/src/snapshots/commit.ts", 'import { PartitionEngine } from "../partition/partition-engine.ts"'],
    ["engines/src/engines/memory/core.ts", 'import { Log } from "../hybrid-log/log.ts"'],
    ["engines/src/engines/memory/core.ts", 'import { openEngine } from "../../open-engine.ts"'],
    ["engines/src/cache/lru.ts", 'import { assert } from "../base/assert.ts"'],
    ["engines/src/runs/open-run.ts", 'import { readFile } from "node:fs/promises"'],
    ["engines/src/partition/partition-engine.ts", 'import { Worker } from "node:worker_threads"'],
    ["engines/src/snapshots/commit.ts", 'import { createHash, randomBytes } from "node:crypto"'],
    ["engines/src/snapshots/commit.ts", 'import * as crypto from "node:crypto"'],
    ["engines/src/runs/merge.ts", 'import { Piscina } from "piscina"'],
  ])("%s may not say %s", (path, text) => {
    expect(arrowsOf(path, text)).toHaveLength(1)
  })

  test.each([
    ["engines/src/snapshots/commit.ts", 'import { OpenRun } from "../runs/open-run.ts"'],
    ["engines/src/engines/hybrid-log/core.ts", 'import type { EngineCore } from "../../core.ts"'],
    ["engines/src/engines/hybrid-log/core.ts", 'import { Region } from "./region.ts"'],
    ["engines/src/open-engine.ts", 'import { memory } from "./engines/memory/memory-core.ts"'],
    ["engines/src/io/node-file-system.ts", 'import { open } from "node:fs/promises"'],
    ["engines/src/snapshots/commit.ts", 'import { createHash } from "node:crypto"'],
    ["engines/src/runs/merge.test.ts", 'import { mkdtempSync } from "node:fs"'],
  ])("%s may say %s", (path, text) => {
    expect(arrowsOf(path, text)).toEqual([])
  })
})

describe("layers: bans", () => {
  test.each([
    ["server/src/main/main.ts", "enum Colour { Red }", "as const"],
    ["server/src/main/main.ts", "export default function main() {}", "named export"],
    ["server/src/main/main.ts", "try { f() } catch {}", "handles the error"],
    ["server/src/main/main.ts", "try { f() } catch (error) { /* never mind */ }", "handles the error"],
    ["engines/src/runs/merge.ts", "const now = Date.now()", "Clock"],
    ["engines/src/runs/merge.ts", "setTimeout(f, 10)", "Clock.sleep"],
    ["engines/src/runs/merge.ts", "const id = Math.random()", "Random"],
    ["engines/src/partition/partition-engine.ts", "const cwd = process.cwd()", "argument"],
    ["test/runs/merge.test.ts", "const id = Math.random()", "seeded"],
    ["test/runs/merge.test.ts", "test.skip('later', f)", "test that runs"],
    ["client/src/connect.ts", "console.log(frame)", "error"],
    ["client/src/connect.ts", ["const text = `a $", "{ console.log(1) } b`"].join(""), "error"],
  ])("in %s, %s is named with %s", (path, text, instead) => {
    const found = bansOf(path, text)
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(instead)
  })

  test.each([
    ["engines/src/runs/merge.ts", "// Date.now() is not used here"],
    ["engines/src/runs/merge.ts", 'throw new Error("enum Colour { catch {} }")'],
    ["engines/src/runs/merge.ts", 'const quote = /["\'`]/; const text = "setTimeout(f)"'],
    ["engines/src/io/system-clock.ts", "return Date.now()"],
    ["vitest.config.ts", "export default defineConfig({})"],
    ["server/src/cli/output.ts", "console.log(value)"],
    ["server/src/main/main.ts", "try { f() } catch { recover() }"],
  ])("in %s, %s is fine", (path, text) => {
    expect(bansOf(path, text)).toEqual([])
  })
})
