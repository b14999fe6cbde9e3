// The Dockerfile without complaints, and a build that sees what it copies and nothing else. That it builds and runs is
// shown by `npm run image`.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { settingRows } from "@varve/server"
import { validate } from "dockerfile-utils"
import { test } from "vitest"

const root = fileURLToPath(new URL("../..", import.meta.url))
const dockerfile = readFileSync(join(root, "Dockerfile"), "utf8")
const rules = readFileSync(join(root, ".dockerignore"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => ({ kept: line.startsWith("!"), matches: expression(line.replace(/^!/, "")) }))

/** A pattern of .dockerignore: `*` within a folder, `**` across them; it matches what lies below, too. */
function expression(pattern: string): RegExp {
  const parts = pattern.split(/(\*\*\/|\*)/).map((part) => {
    if (part === "**/") return "(?:.*/)?"
    return part === "*" ? "[^/]*" : part.replace(/[.+?^$()[\]{}|\\]/g, "\\$&")
  })
  return new RegExp(`^${parts.join("")}(?:/.*)?$`)
}

/** Whether the build sees a file: the last rule that matches says so. */
function isSent(path: string): boolean {
  return rules.findLast(({ matches }) => matches.test(path))?.kept ?? true
}

/** Every file of the checkout, made ones included, but for packages and history. */
function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === "node_modules" || entry.name === ".git") return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesIn(path) : [path]
  })
}

test("image: the linter has nothing against the Dockerfile", () => {
  deepStrictEqual(
    validate(dockerfile).map(({ message, range }) => `${range.start.line + 1}: ${message}`),
    [],
  )
  strictEqual(validate(dockerfile.replace("WORKDIR /varve", "WORKDIR")).length, 1)
})

test("image: a build sees manifests, sources and the program, and nothing else", () => {
  const sent = filesIn("").filter(isSent)
  const wanted = [
    /^package(-lock)?\.json$/,
    /^tsconfig\.base\.json$/,
    /^(proto|engines|client|server)\/package\.json$/,
    /^(proto|engines|server)\/tsconfig\.json$/,
    /^(proto|engines|server)\/src\/(?!.*\.test\.ts$)/,
    /^server\/bin\/varve\.js$/,
  ]
  deepStrictEqual(
    sent.filter((path) => !wanted.some((each) => each.test(path))),
    [],
  )
  for (const each of wanted)
    ok(
      sent.some((path) => each.test(path)),
      `nothing matches ${each}`,
    )
  deepStrictEqual(["node_modules/zod/package.json", "server/dist/index.js", ".git/HEAD"].filter(isSent), [])
})

test("image: it opens the ports that its command listens on, below a directory that it owns", () => {
  const command = JSON.parse(/^CMD (.*)$/m.exec(dockerfile)![1]!) as string[]
  const flags = new Set(settingRows.map(({ flag }) => flag))
  deepStrictEqual(
    command.filter((word) => word.startsWith("--") && !flags.has(word)),
    [],
  )
  const ports = command.flatMap((word) => /^0\.0\.0\.0:(\d+)$/.exec(word)?.[1] ?? [])
  strictEqual(/^EXPOSE (.*)$/m.exec(dockerfile)![1], ports.join(" "))
  strictEqual(/^VOLUME (.*)$/m.exec(dockerfile)![1], command[command.indexOf("--data-dir") + 1])
})
