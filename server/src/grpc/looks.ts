// The one clock for what peers do too slowly: requests that do not come whole (arrival.ts), answers that are not taken
// (answer-pace.ts). Who watches is told at each look, LOOKS_PER_WAIT of them in `waitMs`:
//
//   looks    1         2         3         4         5         6
//   patience ├────────── waitMs ────────────────────►│ given up, unless a MiB or more of it is on its way
//
// Looks are counted, and not time: a thread that was held up finds what came meanwhile, and accuses nobody.

const LOOKS_PER_WAIT = 4
const MIB = 1024 * 1024

/** How many looks something of so many bytes has: those of `waitMs`, and as many again for each MiB of it. */
export function looksAllowed(bytes: number): number {
  return LOOKS_PER_WAIT * (1 + Math.floor(bytes / MIB))
}

export class Looks {
  readonly waitMs: number
  readonly #watchers: (() => void)[] = []
  readonly #timer: NodeJS.Timeout
  #count = 0

  constructor(waitMs: number) {
    this.waitMs = waitMs
    this.#timer = setInterval(() => this.look(), waitMs / LOOKS_PER_WAIT)
    this.#timer.unref()
  }

  /** Looks so far. */
  get count(): number {
    return this.#count
  }

  /** `watcher` is called at each look from now on. */
  watch(watcher: () => void): void {
    this.#watchers.push(watcher)
  }

  /** Once in a quarter of `waitMs`. */
  look(): void {
    this.#count++
    for (const watcher of this.#watchers) watcher()
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
