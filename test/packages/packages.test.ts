// The packages as their users get them: packed, installed into an empty project outside the checkout, and used there
// from modules, from CommonJS and from TypeScript; what their READMEs show first runs as it stands there.

import { deepStrictEqual, ok } from "node:assert"
import { readFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, beforeAll, describe, test } from "vitest"
import { startDaemon, type TestDaemon } from "../server/daemon.ts"
import { InstalledProject } from "./installed-project.ts"

const packages = ["proto", "engines", "client"]

let project: InstalledProject
let daemon: TestDaemon

beforeAll(async () => {
  project = await InstalledProject.make(packages)
  daemon = await startDaemon()
}, 180_000)

afterAll(async () => {
  await daemon?.stop()
  await project?.remove()
})

describe("packages: what is in them", () => {
  test.each(packages)("%s has its licence, what it exports, and no test or leftover", async (name) => {
    const files = await project.files(`@varve/${name}`)
    const allowed =
      /^(package\.json|README\.md|LICENSE|(dist|src)\/.+\.(js|d\.ts|map|ts)|src\/.+\.md|.+\.proto)$/
    deepStrictEqual(
      files.filter((file) => !allowed.test(file) || /\.test\.|tsbuildinfo/.test(file)),
      [],
    )
    const [licence, ours] = await Promise.all(
      [join(project.package(`@varve/${name}`), "LICENSE"), "LICENSE"].map((path) => readFile(path, "utf8")),
    )
    deepStrictEqual(licence, ours)
    const manifest = await manifestOf(`@varve/${name}`)
    const targets = JSON.stringify(manifest.exports).match(/\.\/[^"*]+\.(?:json|js|ts)(?=")/g)!
    ok(targets.length > 2)
    deepStrictEqual(
      targets.filter((target) => !files.includes(target.slice(2))),
      [],
    )
  })

  test.each(packages)("%s: source maps are whole, with their sources, or not there at all", async (name) => {
    const files = await project.files(`@varve/${name}`)
    const read = (file: string) => readFile(join(project.package(`@varve/${name}`), file), "utf8")
    const missing: string[] = []
    for (const file of files.filter((each) => /\.(js|d\.ts)$/.test(each))) {
      const [, map] = /^\/\/# sourceMappingURL=(.*)$/m.exec(await read(file)) ?? []
      if (map === undefined) continue
      const folder = dirname(file)
      if (!files.includes(join(folder, map))) missing.push(join(folder, map))
      else missing.push(...sourcesOf(await read(join(folder, map))).map((source) => join(folder, source)))
    }
    deepStrictEqual(
      missing.filter((file) => !files.includes(file)),
      [],
    )
  })

  test("the client needs the contract, gRPC and the wire format of protobuf, and no tool that made the contract", async () => {
    const needed = async (name: string) => Object.keys((await manifestOf(name)).dependencies ?? {}).sort()
    deepStrictEqual(await needed("@varve/client"), ["@grpc/grpc-js", "@varve/proto"])
    deepStrictEqual(await needed("@varve/proto"), ["@bufbuild/protobuf", "@grpc/grpc-js"])
  })
})

describe("packages: the client", () => {
  test("from CommonJS, without a warning, and without what gRPC has for others", async () => {
    const { stdout, stderr } = await project.run("client.cjs", CLIENT_CJS, [daemon.grpc])
    deepStrictEqual({ stdout, stderr }, { stdout: "Ada offset 42 KEY_EMPTY 0\n", stderr: "" })
  })

  test("README: the first steps run as a module", async () => {
    const [first] = await programs("client")
    const program = first!.replace("127.0.0.1:7400", daemon.grpc)
    deepStrictEqual(await project.run("client.mjs", program), { stdout: "user:2 Bob\n", stderr: "" })
  })

  test("the contract's files are found by name, with those that a client of another language needs", async () => {
    const names = ["varve/v1/state_backend", "google/rpc/status", "google/rpc/error_details"]
    const program = names.map((name) => `console.log(require.resolve("@varve/proto/${name}.proto"))`)
    const { stdout } = await project.run("resolve.cjs", program.join("\n"))
    const files = await Promise.all(
      stdout
        .trim()
        .split("\n")
        .map((path) => readFile(path, "utf8")),
    )
    deepStrictEqual(
      files.map((text) => /^package (.+);$/m.exec(text)?.[1]),
      ["varve.v1", "google.rpc", "google.rpc"],
    )
  })
})

describe("packages: the engines, in-process", () => {
  test("README: the first steps run as a module, and the process ends", async () => {
    const [first] = await programs("engines")
    const [orders, backup] = ["orders", "backup"].map((name) => join(project.folder, name))
    const program = `${first!.replace("/data/orders", orders!).replace("file:/backup/orders", pathToFileURL(backup!).href)}
console.log(Buffer.from(value).toString())`
    deepStrictEqual(await project.run("engine.mjs", program), { stdout: "Ada\n", stderr: "" })
  })

  test("from CommonJS: set, snapshot, restore", async () => {
    const directory = join(project.folder, "commonjs")
    const { stdout, stderr } = await project.run("engine.cjs", ENGINES_CJS, [directory])
    deepStrictEqual({ stdout, stderr }, { stdout: "one offset 42\n", stderr: "" })
  })
})

describe("packages: types", () => {
  test("modules and CommonJS, as Node resolves: the READMEs' programs are right, wrong calls are refused", async () => {
    const shown = [...(await programs("client")), ...(await programs("engines"))]
    ok(shown.length >= 6)
    const modules = Object.fromEntries(shown.map((program, index) => [`readme-${index}.mts`, program]))
    const said = await project.compile(
      { ...modules, "typed.mts": TYPED, "typed.cts": `${TYPED}\nexport {}` },
      { module: "nodenext", types: ["node"] },
    )
    deepStrictEqual(said, "")
  })

  test("as bundlers resolve, and as Node 16 did from modules", async () => {
    const checked = { types: ["node"], skipLibCheck: true }
    const bundled = { ...checked, module: "esnext", moduleResolution: "bundler" }
    deepStrictEqual(await project.compile({ "typed.ts": TYPED }, bundled), "")
    deepStrictEqual(await project.compile({ "typed.mts": TYPED }, { ...checked, module: "node16" }), "")
  })
})

/** Programs of a package's README: its blocks of code that begin with an import. */
async function programs(name: string): Promise<string[]> {
  const text = await readFile(join(project.package(`@varve/${name}`), "README.md"), "utf8")
  return [...text.matchAll(/^```[jt]s\n(import .*?)^```$/gms)].map(([, program]) => program!)
}

function sourcesOf(map: string): string[] {
  return (JSON.parse(map) as { sources: string[] }).sources
}

interface PackageManifest {
  readonly exports: object
  readonly dependencies?: Readonly<Record<string, string>>
}

async function manifestOf(name: string): Promise<PackageManifest> {
  return JSON.parse(await readFile(join(project.package(name), "package.json"), "utf8")) as PackageManifest
}

/** What `console.log` prints last: modules of gRPC that read .proto files, most of what is installed, are never loaded. */
const CLIENT_CJS = `
const { connect } = require("@varve/client")
async function main() {
  const state = connect(process.argv[2])
  await state.set("user:1", "Ada")
  await state.snapshot({ version: 1, metadata: "offset 42" })
  await state.set("user:1", "Grace")
  const { metadata } = await state.restore({ version: 1 })
  const reason = await state.get("").catch((error) => error.reason)
  const loaded = Object.keys(require.cache).filter((path) => /proto-loader|protobufjs/.test(path))
  console.log(String(await state.get("user:1")), String(metadata), reason, loaded.length)
  await state.close()
}
main()
`

const ENGINES_CJS = `
const { openEngine } = require("@varve/engines")
const { pathToFileURL } = require("node:url")
async function main() {
  const directory = process.argv[2]
  const repository = pathToFileURL(directory + "-versions").href
  const engine = await openEngine({ engine: "lsm-tree", directory, repository })
  const key = Buffer.from("key")
  await engine.set(key, Buffer.from("one"))
  await engine.snapshot({ version: 1, metadata: Buffer.from("offset 42") })
  await engine.set(key, Buffer.from("two"))
  const { metadata } = await engine.restore({ version: 1 })
  console.log(String(Buffer.from(await engine.get(key))), String(Buffer.from(metadata)))
  await engine.close()
}
main()
`

/** Types that are not there would be \`any\`, and would take what is refused here. */
const TYPED = `
import { connect, isVarveError, type State } from "@varve/client"
import { openEngine, type Engine } from "@varve/engines"
import { partitionOfKey, type GetRequest } from "@varve/proto"

export async function use(): Promise<number> {
  const state: State = connect("127.0.0.1:7400", { rollback: "fail" })
  const value: Buffer | undefined = await state.get("key")
  // @ts-expect-error a key is no number
  await state.get(1)
  // @ts-expect-error no such policy
  connect("127.0.0.1:7400", { rollback: "never" })
  const engine: Engine = await openEngine({ engine: "memory", directory: "/d", repository: "file:/r" })
  // @ts-expect-error no such engine
  await openEngine({ engine: "b-tree", directory: "/d", repository: "file:/r" })
  // @ts-expect-error a value may be a promise
  engine.get(new Uint8Array(1))?.length
  const request: GetRequest = { store: "", key: new Uint8Array(1), partition: partitionOfKey(new Uint8Array(1), 4) }
  // @ts-expect-error a store is named by a text
  request.store = 1
  return isVarveError(value) ? value.code : 0
}
`
