// A client in another language, written from the contract alone (varve_client.py): what it writes and what the client in
// TypeScript writes is the same, and the commands of the READMEs that make such clients work as they stand there.

import { deepStrictEqual, ok } from "node:assert"
import { execFile, spawn, spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { connect, type State } from "@varve/client"
import { partitionOfKey } from "@varve/proto"
import { afterAll, beforeAll, test } from "vitest"
import { seededRandom } from "../bench/random.ts"
import { startDaemon, type TestDaemon } from "../server/daemon.ts"

const run = promisify(execFile)
const root = fileURLToPath(new URL("../../", import.meta.url))
const scripts = join(root, "test/python")
const PYTHON = "/usr/bin/python3"
const PARTITIONS = 4
const SEED = 20_240
const RECORDS = 10_000
const CHECK_MS = 40_000

interface KeyValue {
  readonly key: Buffer
  readonly value: Buffer
}

let directory: string
let daemon: TestDaemon

beforeAll(async () => {
  requirePackages()
  directory = await mkdtemp(join(tmpdir(), "varve-python-"))
  // The READMEs' commands name folders of the checkout, and leave what they make beside them.
  await symlink(join(root, "proto"), join(directory, "proto"))
  const flags = ["--partitions", String(PARTITIONS), "--durability", "log"]
  daemon = await startDaemon({ flags })
})

afterAll(async () => {
  await daemon.stop()
  await rm(directory, { recursive: true, force: true })
})

test("Python and TypeScript read each other's records, and every check of the Python client passes", async () => {
  await shell(readmeCommand("proto/README.md", "--grpc_python_out=generated \\"))
  const ours = makeRecords()
  await inState((state) => state.write(ours))
  const [oursPath, theirsPath] = [join(directory, "ours"), join(directory, "theirs")]
  await writeFile(oursPath, ours.map(lineOf).join(""))
  const words = [join(scripts, "check_client.py"), daemon.grpc, oursPath, theirsPath]
  deepStrictEqual(await check(words), CHECKS)

  const theirs = (await readFile(theirsPath, "latin1")).trimEnd().split("\n").map(recordOf)
  ok(theirs.length > RECORDS)
  const values = await inState((state) => state.getMany(theirs.map(({ key }) => key)))
  for (const [index, { key, value, partition }] of theirs.entries()) {
    deepStrictEqual(values[index] ?? Buffer.alloc(0), value, `value of ${key.toString("hex")}`)
    deepStrictEqual(partitionOfKey(key, PARTITIONS), partition)
  }
})

test("README: the commands for Go and Java make a client from the contract", async () => {
  await shell(readmeCommand("proto/README.md", "--go_out"))
  await shell(readmeCommand("proto/README.md", "--java_out"))
  const made = [
    "state_backend.pb.go",
    "state_backend_grpc.pb.go",
    "GetRequest.java",
    "StateBackendGrpc.java",
    "StateBackendProto.java",
  ]
  const folder = join(directory, "generated/varve/v1")
  const packages = made.map((name) => /^package .*$/m.exec(readFileSync(join(folder, name), "utf8"))?.[0])
  deepStrictEqual(new Set(packages), new Set(["package varvev1", "package varve.v1;"]))
})

test("README: the first steps in Python print what they say", async () => {
  const script = readmeCommand("proto/README.md", "import grpc").replace("127.0.0.1:7400", daemon.grpc)
  deepStrictEqual(await shell(script), "b'Ada'\n")
})

/** What `check_client.py` prints when all is well. */
const CHECKS = [
  "slots",
  "describe",
  "points",
  "error details",
  "their records",
  "our records",
  "order",
  "conditions",
  "failed frames",
  "lineage",
  "operations",
  "sessions",
  "refused sequences",
  "broken streams",
  "scan",
  "versions",
  "a killed daemon",
]

/** What `act` resolves with a client in TypeScript. */
async function inState<T>(act: (state: State) => Promise<T>): Promise<T> {
  const state = connect(daemon.grpc)
  try {
    return await act(state)
  } finally {
    await state.close()
  }
}

/** Runs `check_client.py`, and kills the daemon when it asks for that; the checks that have passed. */
async function check(words: readonly string[]): Promise<string[]> {
  const child = spawn(PYTHON, words, { env: pythonEnvironment(), stdio: ["pipe", "pipe", "inherit"] })
  const timer = setTimeout(() => child.kill("SIGKILL"), CHECK_MS)
  try {
    const passed: string[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === "kill the daemon") {
        await daemon.kill("SIGKILL")
        daemon = await daemon.restart()
        child.stdin.end(`${daemon.grpc}\n`)
      } else {
        passed.push(line)
      }
    }
    return passed
  } finally {
    clearTimeout(timer)
    child.kill("SIGKILL")
  }
}

/** Keys of odd bytes, with hash tags and the longest there may be; values empty, small, and as large as may be. */
function makeRecords(): KeyValue[] {
  const random = seededRandom(SEED)
  const bytes = (count: number): Buffer => Buffer.from(Array.from({ length: count }, () => random(256)))
  const records = Array.from({ length: RECORDS - 4 }, (_, index) => ({
    key: Buffer.concat([
      Buffer.from(index % 3 === 0 ? `ts:{${index % 97}}` : "ts:"),
      Buffer.from(String(index)),
      bytes(random(30)),
    ]),
    value: bytes(index % 10 === 0 ? 0 : random(150)),
  }))
  return [
    ...records,
    { key: Buffer.from("ts:{}"), value: Buffer.from("an empty tag is none") },
    { key: Buffer.from("ts:}{"), value: Buffer.from("nor is this one") },
    { key: Buffer.alloc(65_535, 0xff), value: Buffer.from("the longest key") },
    { key: Buffer.from("ts:large"), value: Buffer.alloc(4 * 1024 * 1024, 0xa5) },
  ]
}

function lineOf({ key, value }: KeyValue): string {
  return `${key.toString("hex")} ${value.toString("hex")} ${partitionOfKey(key, PARTITIONS)}\n`
}

function recordOf(line: string): KeyValue & { readonly partition: number } {
  const [key, value, partition] = line.split(" ")
  return { key: Buffer.from(key!, "hex"), value: Buffer.from(value!, "hex"), partition: Number(partition) }
}

/** The block of shell commands in a README that mentions `mark`; it is the only one. */
function readmeCommand(name: string, mark: string): string {
  const blocks = [...readFileSync(join(root, name), "utf8").matchAll(/^```sh\n(.*?)^```$/gms)]
  const found = blocks.map(([, text]) => text!).filter((text) => text.includes(mark))
  deepStrictEqual(found.length, 1, `blocks of ${name} with ${mark}`)
  return found[0]!
}

/** Runs commands in the test's folder; what they print. Their temporary files are in it too. */
async function shell(script: string): Promise<string> {
  const options = { cwd: directory, env: { ...pythonEnvironment(), TMPDIR: directory }, timeout: CHECK_MS }
  return (await run("sh", ["-ec", script], options)).stdout
}

function pythonEnvironment(): NodeJS.ProcessEnv {
  const path = `${join(directory, "generated")}:${scripts}`
  return { ...process.env, PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: "1" }
}

/** @throws when a package of Debian is missing, with the command that installs them all */
function requirePackages(): void {
  const programs = ["protoc", "grpc_python_plugin", "grpc_java_plugin", "protoc-gen-go", "protoc-gen-go-grpc"]
  const missing = programs.filter((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0)
  if (spawnSync(PYTHON, ["-c", "import grpc, google.protobuf"]).status !== 0) missing.push("python3-grpcio")
  if (!existsSync("/usr/include/google/protobuf/any.proto")) missing.push("google/protobuf/any.proto")
  if (missing.length > 0) throw new Error(`${missing.join(", ")} missing: run test/install-servers.sh`)
}
