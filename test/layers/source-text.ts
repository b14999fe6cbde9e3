// TypeScript as the rules read it: without comments, with or without the text of its strings. A small scanner,
// because rules must not trip over an import in a comment or a banned word in a message, and because the
// compiler in use has no interface for programs.
//
// Blanked text becomes spaces and newlines stay, so offsets and line numbers are those of the file.

/** One file in three views of equal length. */
export interface SourceText {
  readonly path: string
  /** Comments blanked. */
  readonly withStrings: string
  /** Comments and the text of strings, templates and regular expressions blanked. */
  readonly code: string
}

/** An import, export-from or dynamic import. */
export interface Import {
  readonly specifier: string
  /** Names between braces, as exported; empty for `import * as`, side effects and dynamic imports. */
  readonly names: readonly string[]
  readonly line: number
}

const REGEX_BEFORE = /(?:^|[=(,:[!&|?{};+\-*%~^<>]|\breturn|\bcase|\btypeof|\bin|\bof)\s*$/
const IMPORT =
  /\b(?:import|export)\s+(?:type\s+)?([\w$*\s{},]*?)\s*\bfrom\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g

/** Reads one file. Never fails: text that is no TypeScript gives views that mean nothing. */
export function readSource(path: string, text: string): SourceText {
  const withStrings = text.split("")
  const code = text.split("")
  // Braces open inside `${…}` of each template that is being read.
  const templateDepths: number[] = []
  let at = 0

  const blank = (from: number, to: number, views: string[][]): void => {
    for (let i = from; i < to; i++) if (text[i] !== "\n") for (const view of views) view[i] = " "
  }
  const template = (from: number): void => {
    let end = from
    while (end < text.length && text[end] !== "`" && !text.startsWith("${", end))
      end += text[end] === "\\" ? 2 : 1
    blank(from, Math.min(end, text.length), [code])
    if (text[end] === "$") {
      templateDepths.push(0)
      at = end + 2
    } else {
      at = end + 1
    }
  }

  while (at < text.length) {
    const character = text[at]!
    const next = text[at + 1]
    if (character === "/" && (next === "/" || next === "*")) {
      const end = next === "/" ? text.indexOf("\n", at) : text.indexOf("*/", at + 2) + 2
      const stop = end < 2 ? text.length : end
      blank(at, stop, [withStrings, code])
      at = stop
    } else if (character === '"' || character === "'") {
      const end = endOfLiteral(text, at + 1, character)
      blank(at + 1, end, [code])
      at = end + 1
    } else if (character === "`") {
      template(at + 1)
    } else if (character === "/" && REGEX_BEFORE.test(code.slice(Math.max(0, at - 40), at).join(""))) {
      const end = endOfRegex(text, at + 1)
      blank(at + 1, end, [withStrings, code])
      at = end + 1
    } else {
      const depth = templateDepths.at(-1)
      if (depth !== undefined && character === "{") templateDepths[templateDepths.length - 1] = depth + 1
      if (depth !== undefined && character === "}") {
        if (depth === 0) {
          templateDepths.pop()
          template(at + 1)
          continue
        }
        templateDepths[templateDepths.length - 1] = depth - 1
      }
      at++
    }
  }
  return { path, withStrings: withStrings.join(""), code: code.join("") }
}

/** Every import of the file, in order. */
export function importsOf(source: SourceText): Import[] {
  const imports: Import[] = []
  for (const match of source.withStrings.matchAll(IMPORT)) {
    // The word must be code: the same letters inside a string are only text.
    if (source.code[match.index] === " ") continue
    const clause = match[1] ?? ""
    const braces = /\{([^}]*)\}/.exec(clause)?.[1] ?? ""
    imports.push({
      specifier: match[2] ?? match[3] ?? "",
      names: braces
        .split(",")
        .map(
          (name) =>
            name
              .replace(/^\s*type\s+/, "")
              .trim()
              .split(/\s+as\s+/)[0]!,
        )
        .filter((name) => name !== ""),
      line: lineAt(source.code, match.index),
    })
  }
  return imports
}

/** The line of `offset`, counted from 1. */
export function lineAt(text: string, offset: number): number {
  let line = 1
  for (let i = 0; i < offset; i++) if (text[i] === "\n") line++
  return line
}

function endOfLiteral(text: string, from: number, quote: string): number {
  let end = from
  while (end < text.length && text[end] !== quote && text[end] !== "\n") end += text[end] === "\\" ? 2 : 1
  return Math.min(end, text.length)
}

function endOfRegex(text: string, from: number): number {
  let end = from
  let inClass = false
  while (end < text.length && text[end] !== "\n" && (inClass || text[end] !== "/")) {
    if (text[end] === "[") inClass = true
    if (text[end] === "]") inClass = false
    end += text[end] === "\\" ? 2 : 1
  }
  return Math.min(end, text.length)
}
