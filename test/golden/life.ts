// The life of a partition whose files are kept: everything that one leaves behind in a directory and a repository. What
// it holds is told beside it, so that later software can be asked for the same.
//
//   version 1 ── 2 (pinned) ── 3          timeline of the start; 3 is left behind by a restore of 2
//                  └────────── 4          with a version that shares runs, tombstones and, of one engine, rewritten packs
//                              └ present  a clean stop; under durability `log` a kill, with writes in the log only

import { type Engine, type EngineName, openEngine, type SequencedFrame } from "@varve/engines"
import { collectGarbage, encodeRecord, GRACE_MS_MIN, type Seams } from "@varve/engines/internal"
import { bytes, contents, tinySettings } from "../engines/engine-fixture.ts"
import type { SimulatedFileSystem, SimulatedSeams } from "../simulation/index.ts"

export const DIRECTORY = "/partition"
const REPOSITORY = "file:/repository"
export const STORE = "golden"

const KEYS = 20
const SETS = 40
const VALUE_BYTES = 60
const SEGMENT_BYTES = 2048

export type Records = readonly (readonly [key: string, value: string])[]

/** What the files of a life hold. */
export interface LifeText {
  readonly engine: EngineName
  readonly durability: "snapshot" | "log"
  readonly present: Records
  /** The newest frame of the session that wrote; none in lives of software that knew no sessions. */
  readonly lastFrame?: number
  readonly versions: readonly {
    readonly timeline: string
    readonly version: number
    /** As text. */
    readonly metadata: string
    readonly pinNames: readonly string[]
    readonly records: Records
  }[]
}

/** How each engine is kept: between them they have both durabilities. */
const lives: Readonly<Record<EngineName, LifeText["durability"]>> = {
  memory: "snapshot",
  "append-log": "log",
  "hybrid-log": "snapshot",
  "lsm-tree": "log",
}

export function openLife(
  { engine, durability }: Pick<LifeText, "engine" | "durability">,
  seams: Seams,
): Promise<Engine> {
  return openEngine({
    ...{ engine, durability, directory: DIRECTORY, repository: REPOSITORY, store: STORE, seams },
    settings: tinySettings[engine],
    owner: { name: "golden", checkIntervalMs: 0 },
    ...(durability === "log" ? { log: { segmentBytes: SEGMENT_BYTES, checkpointBytes: 6000 } } : {}),
  })
}

/** A frame of the session that writes, sent once more. */
export function frameOf(sequence: number): SequencedFrame {
  return { session: bytes("a golden session"), sequence, unanswered: 0, resent: true }
}

export function sortedRecords(records: Iterable<readonly [string, string]>): Records {
  return [...records].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Lives it; the files are on the disk of `seams` afterwards. */
export async function live(engineName: EngineName, seams: SimulatedSeams): Promise<LifeText> {
  const durability = lives[engineName]
  const engine = await openLife({ engine: engineName, durability }, seams)
  const states = new Map<string, { readonly records: Records; readonly metadata: string }>()
  let written = 0
  const write = async (count: number): Promise<void> => {
    for (const end = written + count; written < end; written++) {
      const text = seams.random.oneIn(6) ? "" : `${written}-`.repeat(VALUE_BYTES).slice(0, VALUE_BYTES)
      const record = encodeRecord(bytes(`key-${seams.random.integer(KEYS)}`), bytes(text))
      await engine.writeEncoded(record, undefined, { ...frameOf(written + 1), resent: false }).pending
    }
  }
  const version = async (number: number): Promise<void> => {
    await write(SETS)
    const metadata = `offset ${written}`
    const { timeline } = await engine.snapshot({ version: number, metadata: bytes(metadata) })
    states.set(`${timeline}/${number}`, { records: sortedRecords(await contents(engine)), metadata })
  }
  await version(1)
  await version(2)
  await engine.pinVersion(2, true)
  await engine.pinVersion(2, true, undefined, "nightly")
  await version(3)
  await engine.restore({ version: 2, mode: "eager" })
  await version(4)
  if (engineName === "hybrid-log") await rewritePacks(engine, seams)
  await write(10)
  const present = sortedRecords(await contents(engine))
  const versions = (await engine.listVersions()).map(({ timeline, version: number, pinNames }) => {
    return { timeline, version: number, pinNames, ...states.get(`${timeline}/${number}`)! }
  })
  if (durability === "snapshot") await engine.close()
  return { engine: engineName, durability, present, lastFrame: written, versions }
}

/** Leaves marks and notes in the repository. */
async function rewritePacks(engine: Engine, seams: SimulatedSeams): Promise<void> {
  const { timeline } = (await engine.listVersions())[0]!
  await engine.deleteVersion(1, timeline)
  for (let i = 0; i < 2; i++) {
    await seams.clock.sleep(2 * GRACE_MS_MIN)
    await seams.executor.run(collectGarbage, { url: REPOSITORY, graceMs: GRACE_MS_MIN, liveMin: 1 })
  }
}

/** Every file that a life has left, by its path. */
export function filesOf(disk: SimulatedFileSystem): Map<string, Uint8Array> {
  const paths = disk.paths().filter((path) => !path.endsWith("/LOCK") && !path.includes("/~drafts/"))
  return new Map(paths.map((path) => [path, disk.bytesOf(path)]))
}
