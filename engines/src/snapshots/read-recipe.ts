// Reading what packs hold, and what a version says of a run: wherever the chunks of a pack have gone to since.

import { createHash } from "node:crypto"
import type { ObjectStore } from "../io/object-store.ts"
import type { StoredRun } from "./manifest.ts"
import { type PackRange, readPackRange } from "./moved-pack.ts"
import { decodeRecipe, type Recipe } from "./recipe.ts"
import { packKey } from "./repository-keys.ts"
import { damaged } from "./stored-bytes.ts"

/**
 * The recipe of a run, checked.
 * @throws (rejects) EngineError `DATA_LOSS` naming the pack, `FORMAT_NEWER`, `REPOSITORY_FAILED`
 */
export async function readRecipe(objectStore: ObjectStore, run: StoredRun): Promise<Recipe> {
  const { pack, offset, bytes, hash } = run.recipe
  const key = packKey(pack)
  const name = `${key}: recipe of run ${run.id} at byte ${offset}`
  const source = await readPackRange(objectStore, { pack, offset, bytes })
  if (source === undefined) throw damaged(key, "it is missing")
  if (source.length !== bytes) throw damaged(name, "the pack ends before it")
  if (createHash("sha256").update(source).digest("hex") !== hash) throw damaged(name, "hash of the recipe")
  const recipe = decodeRecipe(source, name)
  if (recipe.run !== run.id) throw damaged(name, `it is the recipe of run ${recipe.run}`)
  if (recipe.runBytes !== run.bytes) throw damaged(name, `its run has not ${run.bytes} bytes`)
  return recipe
}

/** Bytes of a pack, all of them. @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED` */
export async function readRange(objectStore: ObjectStore, range: PackRange): Promise<Uint8Array> {
  const source = await readPackRange(objectStore, range)
  if (source === undefined) throw damaged(packKey(range.pack, range.folder), "it is missing")
  if (source.length === range.bytes) return source
  throw damaged(packKey(range.pack, range.folder), `it ends before byte ${range.offset + range.bytes}`)
}
