// Why is this still here? Which versions keep a chunk, or a pack.

import { EngineError } from "../base/error.ts"
import { defineBackgroundJob, type JobContext } from "../io/executor.ts"
import { chunkHash } from "../snapshots/chunk-list.ts"
import type { VersionName } from "../snapshots/manifest.ts"
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
  /** Sorted by store, partition, time of the timeline and version. Empty: nothing needs it. */
  readonly keepers: readonly Keeper[]
}

/**
 * Who keeps the chunk whose SHA-256 starts with `name`, or anything of the pack `name`. Reads all manifests and recipes.
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
    const needed = new Set<string>()
    const versions: (Omit<Keeper, "runs"> & { readonly runs: readonly string[] })[] = []
    await markLive(await context.objectStore(url), {
      manifest({ store, partition, timeline, version, runs }) {
        for (const { id, recipe } of runs) if (recipe.pack === name) needed.add(id)
        versions.push({ store, partition, timeline, version, runs: runs.map(({ id }) => id) })
      },
      recipe({ id }, recipe) {
        if (name.length === PACK_ID_DIGITS && recipe.packs.includes(name)) needed.add(id)
        for (let i = 0; i < recipe.chunks.count; i++) {
          const view = chunkHash(recipe.chunks, i)
          const hash = hexOf(view, 0, view.length)
          if (!hash.startsWith(name)) continue
          needed.add(id)
          const { kinds, lengths, packs } = recipe.chunks
          const chunk = chunks.get(hash) ?? { kind: kinds[i]!, bytes: lengths[i]!, packs: new Set() }
          chunk.packs.add(recipe.packs[packs[i]!]!)
          chunks.set(hash, chunk)
        }
      },
    })
    const keepers = versions.flatMap((version) => {
      const runs = version.runs.filter((id) => needed.has(id))
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
    return { chunks: found, keepers }
  },
)
