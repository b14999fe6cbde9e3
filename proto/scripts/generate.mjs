// Makes src/gen from the .proto files: `node scripts/generate.mjs`. With `--check` it makes it in a temporary
// folder and fails when src/gen differs.
//
//   1. buf generate                        messages, stubs (buf.gen.yaml)
//   2. changes to the generated text       see `improve`, `document`
//   3. file-descriptor-set.ts              what server reflection answers

import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const packageFolder = fileURLToPath(new URL("..", import.meta.url))
const generatedFolder = join("src", "gen")

function buf(...commandArguments) {
  return execFileSync("npx", ["--no-install", "buf", ...commandArguments], {
    cwd: packageFolder,
    maxBuffer: 16 * 1024 * 1024,
    stdio: ["ignore", "pipe", "inherit"],
  })
}

/** Names of the files under `folder`, relative to it, sorted. */
function filesUnder(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

/**
 * Two changes that pay on the wire: default values of bytes fields share one empty array (decoding small
 * messages was 3.6 times slower with a new one each), and an encoded message is handed on without a copy.
 */
function improve(source) {
  const shared = source
    .replaceAll("new Uint8Array(0)", "EMPTY_BYTES")
    .replaceAll(/Buffer\.from\((\w+\.encode\(value\)\.finish\(\))\)/g, "asBuffer($1)")
  const constants = []
  if (shared.includes("EMPTY_BYTES")) constants.push("const EMPTY_BYTES = new Uint8Array(0);")
  if (shared.includes("asBuffer(")) {
    constants.push(
      "function asBuffer(bytes: Uint8Array): Buffer {\n" +
        "  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);\n}",
    )
  }
  return constants.length === 0 ? shared : `${shared.trimEnd()}\n\n${constants.join("\n\n")}\n`
}

/** Exports for which the .proto files have no comment, and what is to be said of them. */
const documentation = [
  [/^export const protobufPackage /gm, "Name of the package in protobuf."],
  [/^export const protobufFileName /gm, "Path of the file that these declarations are made from."],
  [/^export const (\w+): MessageFns<\1> /gm, "From message to bytes and back."],
  [/^export interface \w+Entry /gm, "An entry of the map of this name."],
  [/^export const \w+Service = /gm, "Methods of the service, as a gRPC server takes them."],
  [/^export interface \w+Server /gm, "What a server of the service implements."],
  [/^export interface \w+Client /gm, "A client of the service: calls with callbacks, and streams."],
  [/^export const \w+Client = /gm, "Makes a client of the service for an address."],
  [/^ {2}export type (\w+) = typeof \w+\.\1;/gm, "The type of this number."],
  [/^export interface MessageFns<T> /gm, "How messages of one type become bytes and come back."],
  [/^ {2}new \(address: string, /gm, "`address` is `HOST:PORT` or `unix:PATH`."],
  [/^ {2}encode\(message: T, /gm, "Writes the message behind what `writer` holds."],
  [
    /^ {2}decode\(input: BinaryReader /gm,
    "The message; bytes fields are views of `input`. Throws when it is cut or malformed.",
  ],
]

/** Says what the generator leaves unsaid: the reference of the API has a word for each export. */
function document(source) {
  let text = source
  for (const [found, comment] of documentation) {
    text = text.replace(found, (line) => `${/^ */.exec(line)[0]}/** ${comment} */\n${line}`)
  }
  return text
}

function generateInto(base) {
  buf("generate", "--output", base)
  const folder = join(base, generatedFolder)
  for (const name of filesUnder(folder)) {
    const path = join(folder, name)
    writeFileSync(path, document(improve(readFileSync(path, "utf8"))))
  }
  const set = buf("build", "--as-file-descriptor-set", "--exclude-source-info", "--output", "-#format=binpb")
  const lines = set.toString("base64").match(/.{1,100}/g)
  writeFileSync(
    join(folder, "file-descriptor-set.ts"),
    "// Made by scripts/generate.mjs. Do not edit.\n\n" +
      "/** Encoded google.protobuf.FileDescriptorSet of the contract and what it imports. */\n" +
      "export const fileDescriptorSet: Uint8Array = Buffer.from(\n  [\n" +
      `${lines.map((line) => `    "${line}",\n`).join("")}  ].join(""),\n  "base64",\n)\n`,
  )
  return folder
}

function check() {
  const base = mkdtempSync(join(tmpdir(), "varve-proto-"))
  try {
    const fresh = generateInto(base)
    const present = join(packageFolder, generatedFolder)
    const names = new Set([...filesUnder(fresh), ...filesUnder(present)])
    const differing = [...names].filter((name) => textOf(join(fresh, name)) !== textOf(join(present, name)))
    if (differing.length > 0) {
      console.error(`proto/src/gen is out of date (${differing.join(", ")}): run \`npm run proto:generate\``)
      process.exitCode = 1
    }
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

function textOf(path) {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    if (error.code === "ENOENT") return undefined
    throw error
  }
}

if (process.argv.includes("--check")) check()
else generateInto(packageFolder)
