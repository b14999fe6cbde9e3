// Why is this still here? Which versions and images keep a chunk, or a pack.

import { EngineError } from "../base/error.ts"
import { defineBackgroundJob, type JobContext } from "../io/executor.ts"
import { chunkHash } from "../snapshots/chunk-list.ts"
import type { StoredRun, VersionName } from "../snapshots/manifest.ts"
import type { Recipe } from "../snapshots/recipe.ts"
import { type ImageName, imageKey } from "../snapshots/repository-keys.ts"
import { hexOf } from "../snapshots/stored-bytes.ts"
import { markLive } from "./mark.ts"

/** Of a chunk's hash, 8 to 64 hex digits from its start; of a pack's id, all 32. */
const NAME = /^[0-9a-f]{8,64}$/
const PACK_ID_DIGITS = 32

/** A version that keeps it, and by which of its runs. */
export interface Keeper extends VersionName {
  readonly store: string
  readonly partition: number
  readonly runs: readonly string[]
}

export interface Reasons {
  /** Chunks whose hash starts with the name, and the packs that hold them. */
  readonly chunks: readonly {
    readonly hash: string
    readonly kind: number
    readonly bytes: number
    readonly packs: readonly string[]
  }[]
  /** Sorted by store, partition, time of the timeline and version. */
  readonly keepers: readonly Keeper[]
  /** Sorted by name and age. Neither these, nor `keepers`, nor `damage`: nothing needs it. */
  readonly images: readonly ImageName[]
  /** What is damaged or missing, sorted: who keeps what by way of it is not known. */
  readonly damage: readonly string[]
}

/**
 * Who keeps the chunk whose SHA-256 starts with `name`, or anything of the pack `name`. Reads all manifests and recipes;
 * what is damaged among them is named in the answer.
 * @throws (rejects) EngineError `SETTING_INVALID` when `name` is neither; as `markLive`
 */
export const whyKept = defineBackgroundJob(
  import.meta.url,
  "whyKept",
  async (context: JobContext, { url, name }: { url: string; name: string }): Promise<Reasons> => {
    if (!NAME.test(name)) {
      throw new EngineError(
        "SETTING_INVALID",
        `"${name.slice(0, 80)}" names no chunk: 8 to 64 hex digits of its SHA-256, or the 32 of a pack's id`,
      )
    }
    const chunks = new Map<string, { kind: number; bytes: number; packs: Set<string> }>()
    /** Runs by the place of their recipes: copies of one run in several packs are told apart. */
    const needed = new Set<string>()
    const damage = new Set<string>()
    const images: ImageName[] = []
    /** Whether any of the chunks is named so, or is of the pack that is. */
    const find = ({ packs: ids, chunks: list }: Pick<Recipe, "packs" | "chunks">): boolean => {
      let isFound = name.length === PACK_ID_DIGITS && ids.includes(name)
      for (let i = 0; i < list.count; i++) {
        const view = chunkHash(list, i)
        const hash = hexOf(view, 0, view.length)
        if (!hash.startsWith(name)) continue
        isFound = true
        const chunk = chunks.get(hash) ?? { kind: list.kinds[i]!, bytes: list.lengths[i]!, packs: new Set() }
        chunk.packs.add(ids[list.packs[i]!]!)
        chunks.set(hash, chunk)
      }
      return isFound
    }
    const versions: (Omit<Keeper, "runs"> & { readonly runs: readonly StoredRun[] })[] = []
    await markLive(await context.objectStore(url), {
      manifest({ store, partition, timeline, version, runs }) {
        for (const run of runs) if (run.recipe.pack === name) needed.add(recipePlace(run))
        versions.push({ store, partition, timeline, version, runs })
      },
      recipe(run, recipe) {
        if (find(recipe)) needed.add(recipePlace(run))
      },
      image(image) {
        if (find(image)) images.push({ name: image.name, id: image.id })
      },
      damage({ message }) {
        damage.add(message)
      },
    })
    const keepers = versions.flatMap((version) => {
      const runs = version.runs.filter((run) => needed.has(recipePlace(run))).map(({ id }) => id)
      return runs.length === 0 ? [] : [{ ...version, runs }]
    })
    const text = ({ store, timeline }: Keeper): string => `${store}/${timeline}`
    keepers.sort(
      (a, b) =>
        (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0) ||
        a.partition - b.partition ||
        a.version - b.version,
    )
    const found = [...chunks].map(([hash, { kind, bytes, packs }]) => ({
      hash,
      kind,
      bytes,
      packs: [...packs],
    }))
    images.sort((a, b) => (imageKey(a) < imageKey(b) ? -1 : 1))
    return { chunks: found, keepers, images, damage: [...damage].sort() }
  },
)

function recipePlace({ recipe: { pack, offset } }: StoredRun): string {
  return `${pack} ${offset}`
}
