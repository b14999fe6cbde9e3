// The input of the demo: real texts that are on the machine anyway (readmes and licences), in a fixed order and
// bounded, and the words in them.

import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export interface Text {
  readonly path: string
  readonly bytes: number
}

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

/** Texts of the folders that exist, folder by folder, sorted by path, up to 2 MB together. */
export function findTexts(): Text[] {
  const texts: Text[] = []
  let bytes = 0
  for (const path of folders.flatMap((folder) => textPaths(folder).sort())) {
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
    if (size === 0 || size > TEXT_BYTES_MAX || bytes + size > ALL_BYTES_MAX) continue
    texts.push({ path, bytes: size })
    bytes += size
  }
  return texts
}

/** Share `index` of `count`: every text belongs to exactly one. */
export function shareOf(texts: readonly Text[], index: number, count: number): Text[] {
  return texts.filter((_, position) => position % count === index)
}

/** The lines of a text. */
export function linesOf({ path }: Text): string[] {
  return readFileSync(path, "utf8").split("\n")
}

/** The words of a line, in lower case. */
export function wordsOf(line: string): string[] {
  return line.toLowerCase().match(WORD) ?? []
}

/** How often each word occurs in `texts`: the plain way, in one process and in memory. */
export function countWords(texts: readonly Text[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const text of texts) {
    for (const line of linesOf(text)) {
      for (const word of wordsOf(line)) counts.set(word, (counts.get(word) ?? 0) + 1)
    }
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
