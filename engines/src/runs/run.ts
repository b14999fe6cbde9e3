// What a run is, apart from its bytes: its identity and its figures, as the state file and manifests list it.

/** Identity and figures of a run. Plain data; survives JSON. */
export interface RunFigures {
  /** 32 hex digits, random: the same identity is the same content, everywhere and for ever. */
  readonly id: string
  /** 0: written by a flush. Higher: by merges. */
  readonly level: number
  /** Unique and ascending within a partition. Newness: lower levels first, within a level higher runs first. */
  readonly run: number
  /** The newest version sealed before the run was written; with level and run it makes the file's name. */
  readonly version: number
  /** Length of the file, and of its records part. */
  readonly bytes: number
  /** Length of its records part. */
  readonly recordsBytes: number
  /** Records, tombstones included. */
  readonly recordCount: number
  /** How many of them say that a key is deleted. */
  readonly tombstoneCount: number
}

/** Levels grow with the logarithm of the runs written: this is never reached. */
export const RUN_LEVEL_MAX = 255

const RUN_NAME = /^L(\d{1,3})\.(\d{1,16})\.(\d{1,16})(\.\d{1,16})?\.run$/
const UNFINISHED_RUN_NAME = /^L\d{1,3}\.\d{1,16}\.\d{1,16}(\.\d{1,16})?\.run\..+$/

/** `L{level}.{run}.{version}.run`; with `copy` above 0, for a second run of these numbers, `….{copy}.run`. */
export function runFileName(figures: Pick<RunFigures, "level" | "run" | "version">, copy = 0): string {
  const numbers = `L${figures.level}.${figures.run}.${figures.version}`
  return copy === 0 ? `${numbers}.run` : `${numbers}.${copy}.run`
}

/** True for names that `runFileName` makes. */
export function isRunFileName(name: string): boolean {
  return RUN_NAME.test(name)
}

/** True for names of files that become a run when they are whole: a run's name with more behind it. */
export function isUnfinishedRunFileName(name: string): boolean {
  return UNFINISHED_RUN_NAME.test(name)
}

/** The number of the run in a name that `runFileName` made. */
export function runNumberOfFileName(name: string): number {
  return Number(RUN_NAME.exec(name)?.[2])
}

/** Orders runs newest first: for a key that several of them hold, the first one has its value. */
export function compareNewestFirst(
  a: Pick<RunFigures, "level" | "run">,
  b: Pick<RunFigures, "level" | "run">,
): number {
  return a.level - b.level || b.run - a.run
}
