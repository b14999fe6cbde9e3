// The command line where no daemon answers: words that are wrong, help, and addresses at which nobody is.

import { readFileSync } from "node:fs"
import { createServer } from "node:net"
import { expect, test } from "vitest"
import { runVarve, runVarveHere } from "./run-varve.ts"

/** A port of this machine on which nobody listens. */
async function deadPort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1")
  await new Promise((resolve) => probe.once("listening", resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

test.each([
  [["frobnicate"], "unknown command"],
  [["get"], "missing required argument"],
  [["get", "a", "--colour"], "unknown option"],
  [["snapshot", "0"], "whole numbers from 1"],
  [["get", "abc", "--hex"], "not hexadecimal"],
  [["restore", "1", "--replaced", "x"], "not both"],
  [
    ["restore", "--replaced", "1"],
    '--replaced: "1" is no handle of a replaced state: a restore prints one; ',
  ],
  [["get", "a", "--address", "http://127.0.0.1:7400"], "is not HOST, HOST:PORT or unix:PATH"],
  [["bench", "--address", "127.0.0.1:70000"], "is not HOST, HOST:PORT or unix:PATH"],
  [["snapshots", "pin", "1", "--hex"], "unknown option"],
])("%j is wrong usage: code 2", async (words, message) => {
  const { code, stdout, stderr } = await runVarveHere(words)
  expect(code).toBe(2)
  expect(stderr + stdout).toContain(message)
})

test("--version and --help end with 0", async () => {
  const { version } = JSON.parse(
    readFileSync(new URL("../../server/package.json", import.meta.url), "utf8"),
  ) as {
    version: string
  }
  const asked = await runVarve(["--version"])
  expect([asked.code, asked.stdout.toString().trim()]).toEqual([0, version])
  const help = await runVarveHere(["--help"])
  expect(help.code).toBe(0)
  for (const command of [
    "serve",
    "get",
    "set",
    "delete",
    "scan",
    "snapshot",
    "restore",
    "snapshots",
    "gc",
    "describe",
    "bench",
  ])
    expect(help.stdout.toString()).toMatch(new RegExp(`^  ${command} `, "m"))
})

test("wrong words are told of by name, with the way to help", async () => {
  const stderr = async (...words: string[]): Promise<string> => (await runVarveHere(words)).stderr
  expect(await stderr("gc", "--dry-runs")).toBe(
    "varve: unknown option '--dry-runs'\n(Did you mean --dry-run?)\n  `varve gc --help` shows what it takes\n",
  )
  expect(await stderr("snapshots", "pin")).toContain("`varve snapshots pin --help` shows what it takes\n")
  expect(await stderr("frobnicate")).toMatch(/^varve: unknown command 'frobnicate'\n {2}`varve --help` shows/)
})

test("nobody there: code 4, for unary calls and streams", async () => {
  const port = await deadPort()
  for (const words of [["get", "a"], ["scan"], ["bench"]]) {
    const run = words[0] === "get" ? runVarve : runVarveHere
    const { code, stderr } = await run([...words, "--address", `127.0.0.1:${port}`])
    expect([words, code]).toEqual([words, 4])
    expect(stderr).toBe(
      `varve: CONNECTION_LOST: no daemon answers at 127.0.0.1:${port}; ` +
        'start one with "varve serve", or name another with --address\n',
    )
  }
})

test("somebody there who says nothing: code 4 after --timeout", async () => {
  const silent = createServer((socket) => socket.resume()).listen(0, "127.0.0.1")
  await new Promise((resolve) => silent.once("listening", resolve))
  const { port } = silent.address() as { port: number }
  const outcome = runVarve(["get", "a", "--timeout", "1", "--address", `127.0.0.1:${port}`])
  expect((await outcome).code).toBe(4)
  await new Promise((resolve) => silent.close(resolve))
})
