// Words that do not occur in this code, each with what stands in their place. A ban is a pattern over code:
// comments and the text of strings do not count.

import type { Violation } from "./arrows.ts"
import { lineAt, type SourceText } from "./source-text.ts"

interface Ban {
  readonly pattern: RegExp
  readonly instead: string
  /** Whether the ban holds for the file at `path`. */
  readonly holds: (path: string) => boolean
}

const everywhere = (): boolean => true
const isTest = (path: string): boolean => path.endsWith(".test.ts") || path.startsWith("test/")
/** Sources of engines other than its doors to the outside world. */
const isPureEngine = (path: string): boolean =>
  path.startsWith("engines/src/") && !path.startsWith("engines/src/io/") && !isTest(path)
/** Programs that talk to a person on a terminal. */
const isProgram = (path: string): boolean =>
  /^(?:server\/src\/cli|client\/examples|test\/demo|test\/bench|test\/image)\//.test(path)
/** Loaders of these files ask for a default export. */
const isConfiguration = (path: string): boolean =>
  path.endsWith(".config.ts") || path === "test/build-packages.ts"

const bans: readonly Ban[] = [
  { pattern: /\benum\s+\w+\s*\{/g, instead: "an `as const` object", holds: everywhere },
  { pattern: /\bnamespace\s+\w+\s*\{/g, instead: "a file", holds: everywhere },
  { pattern: /\bexport\s+default\b/g, instead: "a named export", holds: (path) => !isConfiguration(path) },
  {
    pattern: /\bcatch\s*(?:\([^)]*\)\s*)?\{\s*\}/g,
    instead: "code that handles the error",
    holds: everywhere,
  },
  { pattern: /\.catch\(\s*\(\w*\)\s*=>\s*\{\s*\}\s*\)/g, instead: "code that handles it", holds: everywhere },
  { pattern: /@ts-ignore|@ts-nocheck/g, instead: "a type that fits", holds: everywhere },
  {
    pattern: /\b(?:test|it|describe)\.(?:skip|only|todo)\b/g,
    instead: "a test that runs",
    holds: everywhere,
  },
  {
    pattern: /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bhrtime\b/g,
    instead: "Clock.nowMs or Clock.monotonicMs",
    holds: isPureEngine,
  },
  {
    pattern: /\bset(?:Timeout|Interval|Immediate)\b/g,
    instead: "Clock.sleep or Clock.nextTurn",
    holds: isPureEngine,
  },
  {
    pattern: /\bprocess\.\w+/g,
    instead: "an argument: a library has no process of its own",
    holds: isPureEngine,
  },
  { pattern: /\bglobalThis\.crypto\b|\bcrypto\.random\w+/g, instead: "Random.bytes", holds: isPureEngine },
  {
    pattern: /\bMath\.random\b/g,
    instead: "Random.bytes in engines, a seeded generator in tests",
    holds: (path) => path.startsWith("engines/") || isTest(path),
  },
  {
    pattern: /\bconsole\.\w+/g,
    instead: "an error, or the daemon's log",
    holds: (path) => !isProgram(path),
  },
]

/** Checks one file against all bans. */
export function checkBans(source: SourceText): Violation[] {
  return bans
    .filter((ban) => ban.holds(source.path))
    .flatMap(({ pattern, instead }) =>
      [...source.code.matchAll(pattern)].map((match) => ({
        path: source.path,
        line: lineAt(source.code, match.index),
        message: `${match[0].replace(/\s+/g, " ")} is not used here: take ${instead}`,
      })),
    )
}
