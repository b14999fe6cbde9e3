// The input of the demo: real texts that are on the machine anyway (readmes and licences), in a fixed order and
// bounded, and the words in them.

import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const folders = [
  "/usr/share/common-licenses",
  fileURLToPath(new URL("../../node_modules", import.meta.url)),
  "/usr/share/doc",
]
const NAME = /^(?:readme|licen[cs]e|copying|changelog|copyright|[al]?gpl|apache|mpl)[^/]*$/i
const OTHER_FORMAT = /\.(?:gz|js|ts|json|html|map)$/i
const TEXT_BYTES_MAX = 256 * 1024
const ALL_BYTES_MAX = 2 * 1024 * 1024
const WORD = /[\p{L}\p{N}]+/gu

/** Texts of the folders that exist, folder by folder, sorted by path, up to 2 MB together; each ends in a line feed. */
export function findTexts(): string[] {
  const texts: string[] = []
  let bytes = 0
  for (const path of folders.flatMap((folder) => textPaths(folder).sort())) {
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
    if (size === 0 || size > TEXT_BYTES_MAX || bytes + size > ALL_BYTES_MAX) continue
    texts.push(`${readFileSync(path, "utf8")}\n`)
    bytes += size
  }
  return texts
}

/** How often each word occurs in `text`: the plain way, in one process and in memory. */
export function countWords(text: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const [found] of text.matchAll(WORD)) {
    const word = found.toLowerCase()
    counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  return counts
}

function textPaths(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && NAME.test(entry.name) && !OTHER_FORMAT.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []
    throw error
  }
}
