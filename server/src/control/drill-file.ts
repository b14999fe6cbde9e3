// What the drills of a store have found, kept over restarts: the schedule goes on where it was, and a drill that failed is
// not forgotten. No state depends on it: a file that cannot be believed counts as none.
//
//   drill.json := {"format":1,"scheduledSinceMs":…,"last":…,"passed":…} sealed as engines/src/base/sealed-json.ts

import { join } from "node:path"
import { decodeSealedJson, encodeSealedJson, type FileSystem, publishFile } from "@varve/engines/internal"
import { z } from "zod"
import type { DrillFigures } from "../metrics/drill-metrics.ts"
import { readSmallFile } from "./small-file.ts"

const FILE_NAME = "drill.json"
const FORMAT = 1
/** More than DAMAGE_LINES_MAX lines of DAMAGE_LINE_LENGTH_MAX characters can take. */
const FILE_BYTES_MAX = 1024 * 1024
/** Of what is damaged, in a report, a line of the log and the file. */
const DAMAGE_LINES_MAX = 50
const DAMAGE_LINE_LENGTH_MAX = 1000

/** What a drill of a store that found anything out has found. */
export interface DrillReport extends DrillFigures {
  readonly timeline: string
  /** What is damaged, the first lines of it. */
  readonly damage: readonly string[]
}

export interface DrillHistory {
  /** Since when drills of the store come by schedule; 0: they do not. */
  readonly scheduledSinceMs: number
  /** The last one that found anything out; null: there was none. */
  readonly last: DrillReport | null
  /** The last one that passed; null: there was none. */
  readonly passed: DrillReport | null
}

const figure = z.number().nonnegative()
const report = z
  .strictObject({
    version: z.int().positive(),
    timeline: z.string(),
    isPassed: z.boolean(),
    damage: z.array(z.string()).readonly(),
    endedMs: figure,
    createdMs: figure,
    seconds: figure,
    bytesRead: figure,
    stateBytes: figure,
    recovery: z.strictObject({ firstAnswerSeconds: figure, completeSeconds: figure }).nullable(),
  })
  .nullable()
const schema = z.strictObject({
  format: z.literal(FORMAT),
  scheduledSinceMs: figure,
  last: report,
  passed: report,
})

/** As much of what is damaged as a report holds. */
export function firstDamage(damage: readonly string[]): string[] {
  return damage.slice(0, DAMAGE_LINES_MAX).map((line) => line.slice(0, DAMAGE_LINE_LENGTH_MAX))
}

/** Where the histories of stores are kept. */
export interface DrillFiles {
  /**
   * What was written last; undefined: there is no file.
   * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `STORAGE_FAILED`
   */
  read(store: string): Promise<DrillHistory | undefined>
  /** Durable when it resolves. @throws (rejects) EngineError `STORAGE_FULL`, `STORAGE_FAILED` */
  write(store: string, history: DrillHistory): Promise<void>
}

/** In the directories of the stores, which are there. */
export function drillFiles(fileSystem: FileSystem, storesDirectory: string): DrillFiles {
  const pathOf = (store: string): string => join(storesDirectory, store, FILE_NAME)
  return {
    async read(store) {
      const name = pathOf(store)
      const bytes = await readSmallFile(fileSystem, name, FILE_BYTES_MAX)
      if (bytes === undefined) return undefined
      const { scheduledSinceMs, last, passed } = decodeSealedJson(bytes, { name, format: FORMAT, schema })
      return { scheduledSinceMs, last, passed }
    },
    async write(store, history) {
      const content: z.infer<typeof schema> = { format: FORMAT, ...history }
      const bytes = encodeSealedJson(content)
      await publishFile(fileSystem, pathOf(store), (file) => file.write(bytes, 0))
    },
  }
}
