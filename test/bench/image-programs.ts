// Whose memory the suite `images` stores: programs that the benchmark starts itself, each twice, with different input.
// A program has taken its input when it has said so, or has put out enough; then it waits for more, and is stopped.

import { spawnSync } from "node:child_process"
import { seededRandom } from "./random.ts"

export interface ImageProgram {
  readonly name: string
  readonly command: string
  readonly words: readonly string[]
  /** What it reads from its standard input; `instance` is 1 or 2. */
  readonly input: (instance: number) => string
  /** It is ready when its output has this text, or so many bytes. */
  readonly ready: string | number
  /** Its input and output is this socket in its directory, once its standard output has the announcement. */
  readonly socket?: { readonly name: string; readonly announcement: string }
}

const SOCKET = "redis.sock"
const WORDS = 20_000

/** Lines of a key and a value, different for each instance but for a third of the values. */
function lines(instance: number, count = WORDS): string {
  const random = seededRandom(instance)
  const line = (_: unknown, i: number): string =>
    `key-${random(1 << 30)} ${i % 3 === 0 ? `value of ${i}` : `value ${random(1 << 30)} of ${instance}`}`
  return `${Array.from({ length: count }, line).join("\n")}\n`
}

const NODE_LINES = `
let rest = ""
const table = new Map()
process.stdin.setEncoding("utf8").on("data", (part) => {
  const lines = (rest + part).split("\\n")
  rest = lines.pop()
  for (const line of lines) {
    if (line === "end") console.log("ready")
    else take(line)
  }
})
`
const NODE_MAP = `${NODE_LINES} function take(line) { table.set(line.slice(0, 12), line) }`
const NODE_OBJECTS = `
const http = require("node:http"), zlib = require("node:zlib"), crypto = require("node:crypto")
${NODE_LINES}
const handler = http.createServer((request, response) => response.end(zlib.gzipSync("page")))
function take(line) {
  const id = crypto.createHash("sha1").update(line).digest("hex")
  table.set(id, { id, words: line.split(" "), at: new Date(0), handler })
}`
const NODE_BUFFERS = `
const buffers = []
${NODE_LINES}
function take(line) { buffers.push(Buffer.alloc(512, line)) }`
const PYTHON_READ = `
import sys
def read():
    for line in sys.stdin:
        if line == "end\\n":
            return
        yield line
`
const PYTHON_WAIT = `
print("ready", flush=True)
sys.stdin.readline()`
const PYTHON_DICT = `${PYTHON_READ}
import json, re, collections
table = {line[:12]: json.dumps({"line": line}) for line in read()}
counts = collections.Counter(re.findall("[a-z]+", " ".join(table)))
${PYTHON_WAIT}`
const PYTHON_MODULES = `${PYTHON_READ}
import asyncio, decimal, email, http.server, logging, unittest, urllib.request, xml.dom.minidom
rows = [(line, decimal.Decimal(len(line))) for line in read()]
${PYTHON_WAIT}`
const PERL = `
while (<STDIN>) { last if $_ eq "end\\n"; my ($key, $rest) = split / /, $_, 2; $table{$key} = [split / /, $rest] }
$| = 1; print "ready\\n"; <STDIN>;`
const SHELL_SET =
  'while read -r key rest; do [ "$key" = end ] && break; n=$((n + 1)); eval "line_$n=\\$rest"; done'
const BASH = `declare -A table; while read -r key rest; do [ "$key" = end ] && break; table[$key]=$rest; done; echo ready; read -r _`
const AWK = `$1 == "end" { print "ready"; fflush(); next } { table[$1] = $0; count[$2]++ }`

const ended = (instance: number): string => `${lines(instance)}end\n`
/** A megabyte that does not compress, so that output comes at once. */
const noise = (instance: number): string => lines(instance, 200_000)

const all: readonly ImageProgram[] = [
  { name: "node-map", command: "node", words: ["-e", NODE_MAP], input: ended, ready: "ready" },
  { name: "node-objects", command: "node", words: ["-e", NODE_OBJECTS], input: ended, ready: "ready" },
  { name: "node-buffers", command: "node", words: ["-e", NODE_BUFFERS], input: ended, ready: "ready" },
  { name: "python-dict", command: "python3", words: ["-c", PYTHON_DICT], input: ended, ready: "ready" },
  { name: "python-modules", command: "python3", words: ["-c", PYTHON_MODULES], input: ended, ready: "ready" },
  { name: "perl", command: "perl", words: ["-e", PERL], input: ended, ready: "ready" },
  { name: "bash", command: "bash", words: ["-c", BASH], input: ended, ready: "ready" },
  {
    name: "dash",
    command: "dash",
    words: ["-c", `${SHELL_SET}; echo ready; read -r _`],
    input: (instance) => `${lines(instance, 2000)}end\n`,
    ready: "ready",
  },
  { name: "awk", command: "awk", words: ["-W", "interactive", AWK], input: ended, ready: "ready" },
  {
    name: "sqlite3",
    command: "sqlite3",
    words: [":memory:"],
    input: (instance) =>
      `create table t (line text primary key);\n${lines(instance)
        .trimEnd()
        .split("\n")
        .map((line) => `insert or ignore into t values ('${line}');`)
        .join("\n")}\n.print ready\n`,
    ready: "ready",
  },
  {
    name: "openssl",
    command: "openssl",
    words: ["enc", "-aes-256-ctr", "-pbkdf2", "-k", "word"],
    input: noise,
    ready: 1 << 20,
  },
  { name: "gzip", command: "gzip", words: ["-1", "-c"], input: noise, ready: 1 << 18 },
  {
    name: "sed",
    command: "sed",
    words: ["-u", "-n", "-e", "H", "-e", "/^end/s/.*/ready/p"],
    input: ended,
    ready: "ready",
  },
  {
    name: "redis-server",
    command: "redis-server",
    words: ["--port", "0", "--unixsocket", SOCKET, "--save", ""],
    input: (instance) =>
      `${lines(instance)
        .trimEnd()
        .split("\n")
        .map((line) => `set ${line.slice(4, 12)} "${line}"`)
        .join("\r\n")}\r\nping\r\n`,
    ready: "PONG",
    socket: { name: SOCKET, announcement: "eady to accept connections" },
  },
  {
    name: "bc",
    command: "bc",
    words: ["-q"],
    input: (instance) => `scale=4000\na=sqrt(${instance + 1})\na*a\n"ready"\n`,
    ready: "ready",
  },
]

export const imageProgramNames: readonly string[] = all.map(({ name }) => name)

/** The programs of these names that the machine has. */
export function imagePrograms(names: readonly string[]): ImageProgram[] {
  const isHere = (command: string): boolean => spawnSync("which", [command]).status === 0
  return all.filter(({ name, command }) => names.includes(name) && isHere(command))
}
