// What the pages of the repository say about files is so: links lead somewhere, commands of npm are there, quoted code is
// the code, and the picture is the same by day and by night.

import { deepStrictEqual, ok } from "node:assert"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { test } from "vitest"

const root = fileURLToPath(new URL("..", import.meta.url))
const left = new Set(["node_modules", "dist", ".git", "api", "data", "bench-results"])
const pages = pagesIn(root)
const example = "client/examples/count-words.ts"

function pagesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return left.has(entry.name) ? [] : pagesIn(path)
    return entry.name.endsWith(".md") ? [path.slice(root.length)] : []
  })
}

function read(path: string): string {
  return readFileSync(join(root, path), "utf8")
}

/** A page without its blocks of code. */
function prose(path: string): string {
  return read(path).replace(/^```.*?^```$/gms, "")
}

/** The names of a page's headings, as they are made for links. */
function anchors(path: string): Set<string> {
  const headings = [...prose(path).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!.toLowerCase())
  return new Set(headings.map((each) => each.replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")))
}

function quotes(path: string): string[] {
  return [...read(path).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!)
}

test("documents: every link leads to a file, and to a heading of it", () => {
  const links = pages.flatMap((page) =>
    [...prose(page).matchAll(/\]\(([^)\s]+)\)|(?:srcset|src)="([^"]+)"/g)]
      .map(([, link, picture]) => link ?? picture!)
      .filter((link) => !/^https?:/.test(link))
      .map((link) => ({ page, link })),
  )
  ok(links.length > 100)
  const dead = links.filter(({ page, link }) => {
    const [path, anchor] = link.split("#")
    const target = path === "" ? page : join(dirname(page), path!)
    if (!existsSync(join(root, target))) return true
    return (
      anchor !== undefined && (statSync(join(root, target)).isDirectory() || !anchors(target).has(anchor))
    )
  })
  deepStrictEqual(dead, [])
})

test("documents: every folder has a page, or a line on the page of the folder above", () => {
  const folders = ["proto", "engines/src", "client", "server/src", "deploy", "test"].flatMap((parent) =>
    readdirSync(join(root, parent), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !left.has(entry.name))
      .map(({ name }) => ({ parent, name })),
  )
  ok(folders.length > 30)
  const unsaid = folders.filter(({ parent, name }) => {
    if (existsSync(join(root, parent, name, "README.md"))) return false
    const above = [parent, dirname(parent)].map((folder) => join(folder, "README.md"))
    return !above.some(
      (page) => existsSync(join(root, page)) && new RegExp(`[\`/(]${name}[\`/)]`).test(read(page)),
    )
  })
  deepStrictEqual(unsaid, [])
})

test("documents: every command of npm that a page names is there", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> }
  const named = pages.flatMap((page) =>
    [...read(page).matchAll(/`npm run ([\w:-]+)/g)].map(([, name]) => ({ page, name: name! })),
  )
  ok(named.length > 10)
  deepStrictEqual(
    named.filter(({ name }) => !(name in scripts)),
    [],
  )
})

test("documents: the pages about the example quote it, and the walk through it leaves nothing out", () => {
  const source = read(example)
  const walk = quotes("client/examples/README.md")
  const heart = quotes("README.md")
  ok(heart.length > 2)
  for (const code of [...walk, ...heart]) ok(source.includes(code), `no longer in the example:\n${code}`)
  const shown = walk.join("")
  const lines = source.slice(source.lastIndexOf("@varve/client")).split("\n").slice(1)
  deepStrictEqual(
    lines.filter((line) => !shown.includes(line)),
    [],
  )
  const count = source.trimEnd().split("\n").length
  ok(count < 150)
  ok(read("README.md").includes(`(${example}), ${count} lines`))
})

test("documents: the picture differs by its colours alone", () => {
  const [light, dark] = ["overview-light.svg", "overview-dark.svg"].map(read)
  const drawing = (svg: string): string => svg.replaceAll(/#[0-9a-f]{6}/g, "")
  ok(light !== dark)
  deepStrictEqual(drawing(light!), drawing(dark!))
})
