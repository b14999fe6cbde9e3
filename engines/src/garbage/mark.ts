// Looks at everything that a repository has and says what of it is needed: the first half of a collection, and the
// whole of `why`. Changes nothing.
//
//   packs, notes, marks   listed first: what is stored later is not judged
//   manifests             those that count, then the recipe of each run that they list, once
//   images                each names its chunks itself
//
// A manifest, recipe or image that cannot be read ends it: what it needs is not known, so nothing may go. Manifests
// of owners that had lost their partition do not count (snapshots/ownership.ts) and keep nothing. But while a
// takeover is under way the next owner may still name some of them: these keep what they can, and what they lack is
// no damage.

import { eachAtOnce } from "../base/each-at-once.ts"
import { EngineError, isEngineError } from "../base/error.ts"
import { decodeImage, IMAGE_BYTES_MAX, type ImageMap } from "../images/image-format.ts"
import type { ObjectStore, ObjectSummary } from "../io/object-store.ts"
import { PROBES_PREFIX } from "../io/prove-object-store.ts"
import { decodeManifest, MANIFEST_BYTES_MAX, type Manifest, type StoredRun } from "../snapshots/manifest.ts"
import {
  type MovedPack,
  movedRange,
  type PackRange,
  readMovedPack,
  readPackRange,
} from "../snapshots/moved-pack.ts"
import { PartitionListings } from "../snapshots/partition-listing.ts"
import { readRecipe } from "../snapshots/read-recipe.ts"
import type { Recipe } from "../snapshots/recipe.ts"
import { packFolderOf } from "../snapshots/region-kind.ts"
import {
  CONDEMNED_PREFIX,
  IMAGES_PREFIX,
  MOVED_PREFIX,
  PACKS_PREFIX,
  parseCondemnedKey,
  parseCondemnedNoteKey,
  parseImageKey,
  parseMovedKey,
  parsePackKey,
  parseVersionKey,
  STORES_PREFIX,
} from "../snapshots/repository-keys.ts"
import { readRepositoryRoot } from "../snapshots/repository-root.ts"
import { LiveChunks } from "./live-chunks.ts"

/** Objects that are read at the same time. */
const READS_AT_ONCE = 16
/** Images that are read at the same time: their objects are larger. */
const IMAGES_AT_ONCE = 2

export interface MarkedPack {
  readonly object: ObjectSummary
  readonly live: LiveChunks
}

/** What a repository holds. */
export interface Marks {
  /** By id. */
  readonly packs: ReadonlyMap<string, MarkedPack>
  /** Notes by the id of the pack that was rewritten. */
  readonly moved: ReadonlyMap<string, MovedPack>
  /** Ids of packs that are gone and needed: their notes lead to what is needed of them. */
  readonly forwarded: ReadonlySet<string>
  /** Marks by the id of the pack that they condemn. */
  readonly condemned: ReadonlyMap<string, ObjectSummary>
  /** Marks by the id of the pack whose note they condemn. */
  readonly condemnedNotes: ReadonlyMap<string, ObjectSummary>
  readonly manifestCount: number
  readonly imageCount: number
  /** What trying the store out has left: `io/prove-object-store.ts`. */
  readonly probes: readonly ObjectSummary[]
  /** Keys of manifests that do not count and never will. */
  readonly superseded: readonly string[]
}

/** Hears of each manifest, each recipe and each image while marks are made. */
export interface MarkVisitor {
  manifest?(manifest: Manifest, key: string): void
  /** Once for each run, with the first manifest that lists it. */
  recipe?(run: StoredRun, recipe: Recipe): void
  image?(image: ImageMap): void
  /** Of what is damaged or missing; the rest is marked all the same. Without it the first of them ends the marking. */
  damage?(error: EngineError): void
}

/**
 * @throws (rejects) EngineError `DATA_LOSS` when a note or an owner's claim is damaged, and unless the visitor hears of it
 * when a manifest, a recipe, an image or a pack that is needed is damaged or missing: the message names it;
 * `FORMAT_NEWER`, `REPOSITORY_FAILED`
 */
export async function markLive(objectStore: ObjectStore, visitor: MarkVisitor = {}): Promise<Marks> {
  await checkRepository(objectStore)
  const packs = new Map<string, MarkedPack>()
  for (const object of await objectStore.list(PACKS_PREFIX)) {
    const id = parsePackKey(object.key)
    if (id !== undefined) packs.set(id, { object, live: new LiveChunks() })
  }
  const moved = await readNotes(objectStore)
  const condemned = new Map<string, ObjectSummary>()
  const condemnedNotes = new Map<string, ObjectSummary>()
  for (const object of await objectStore.list(CONDEMNED_PREFIX)) {
    const id = parseCondemnedKey(object.key)
    if (id !== undefined) condemned.set(id, object)
    const note = parseCondemnedNoteKey(object.key)
    if (note !== undefined) condemnedNotes.set(note, object)
  }
  const probes = await objectStore.list(PROBES_PREFIX)
  return await new Marker(objectStore, { packs, moved, condemned, condemnedNotes, probes }, visitor).run()
}

/** Of a newer format nobody here knows what its objects mean. */
async function checkRepository(objectStore: ObjectStore): Promise<void> {
  if ((await readRepositoryRoot(objectStore)) !== undefined) return
  throw new EngineError("REPOSITORY_FAILED", `there is no repository in ${objectStore.url}`)
}

async function readNotes(objectStore: ObjectStore): Promise<Map<string, MovedPack>> {
  const ids = (await objectStore.list(MOVED_PREFIX)).flatMap(({ key }) => parseMovedKey(key) ?? [])
  const notes = await eachAtOnce(ids, READS_AT_ONCE, (id) => readMovedPack(objectStore, id))
  // In the order of the listing.
  const moved = new Map<string, MovedPack>()
  for (const note of notes) if (note !== undefined) moved.set(note.pack, note)
  return moved
}

type ListedMarks = Omit<Marks, "forwarded" | "manifestCount" | "imageCount" | "superseded">

/** Keys of all manifests: of those that count, of those that may yet, and of those that never will. */
async function listManifests(
  objectStore: ObjectStore,
): Promise<{ counting: string[]; unsure: string[]; superseded: string[] }> {
  const partitions = new Map<string, { readonly store: string; readonly partition: number }>()
  for (const { key } of await objectStore.list(STORES_PREFIX)) {
    const name = parseVersionKey(key)
    if (name?.what === "manifest") partitions.set(`${name.store}/${name.partition}`, name)
  }
  const listings = new PartitionListings(objectStore)
  const keys = await eachAtOnce([...partitions.values()], READS_AT_ONCE, async ({ store, partition }) => {
    const { manifests, superseded } = await listings.list(store, partition)
    const removable = superseded.length === 0 ? [] : await listings.removable(store, partition)
    const never = new Set(removable.map(({ object }) => object.key))
    const others = superseded.map(({ object }) => object.key)
    return {
      counting: manifests.map(({ object }) => object.key),
      unsure: others.filter((key) => !never.has(key)),
      superseded: others.filter((key) => never.has(key)),
    }
  })
  return {
    counting: keys.flatMap(({ counting }) => counting),
    unsure: keys.flatMap(({ unsure }) => unsure),
    superseded: keys.flatMap(({ superseded }) => superseded),
  }
}

class Marker {
  readonly #objectStore: ObjectStore
  readonly #marks: ListedMarks
  readonly #visitor: MarkVisitor
  readonly #runs = new Set<string>()
  readonly #forwarded = new Set<string>()
  /** Packs that were not there when they were listed, and what needs each. */
  readonly #unlisted = new Map<string, { readonly range: PackRange; readonly neededBy: string }>()

  constructor(objectStore: ObjectStore, marks: ListedMarks, visitor: MarkVisitor) {
    this.#objectStore = objectStore
    this.#marks = marks
    this.#visitor = visitor
  }

  async run(): Promise<Marks> {
    const { counting, unsure, superseded } = await listManifests(this.#objectStore)
    await eachAtOnce(counting, READS_AT_ONCE, (key) =>
      this.#hearing(() => this.#markManifest(key, (work) => this.#hearing(work))),
    )
    const images = (await this.#objectStore.list(IMAGES_PREFIX)).filter(({ key }) => parseImageKey(key))
    await eachAtOnce(images, IMAGES_AT_ONCE, ({ key }) => this.#hearing(() => this.#markImage(key)))
    await eachAtOnce(this.#unlisted.values(), READS_AT_ONCE, ({ range, neededBy }) =>
      this.#hearing(() => this.#checkIsThere(range, neededBy)),
    )
    await eachAtOnce(unsure, READS_AT_ONCE, async (key) => {
      try {
        await this.#markManifest(key, (work) => work())
      } catch (error) {
        if (!isEngineError(error, "DATA_LOSS")) throw error
      }
    })
    const manifestCount = counting.length + unsure.length
    const imageCount = images.length
    return { ...this.#marks, forwarded: this.#forwarded, manifestCount, imageCount, superseded }
  }

  /** Does `work`; the visitor hears of what is damaged, if it wants to. */
  async #hearing(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (this.#visitor.damage === undefined || !isEngineError(error, "DATA_LOSS")) throw error
      this.#visitor.damage(error)
    }
  }

  /** @param each does the work on a recipe */
  async #markManifest(key: string, each: (work: () => Promise<void>) => Promise<void>): Promise<void> {
    const source = await this.#objectStore.get(key, { offset: 0, bytes: MANIFEST_BYTES_MAX + 1 })
    // Removed since it was listed.
    if (source === undefined) return
    const manifest = decodeManifest(source, key)
    this.#visitor.manifest?.(manifest, key)
    for (const run of manifest.runs) {
      const { pack, offset, bytes } = run.recipe
      this.#mark({ pack, offset, bytes }, key)
      const name = `${run.id} ${pack} ${offset}`
      if (this.#runs.has(name)) continue
      this.#runs.add(name)
      await each(() => this.#markRecipe(run, key))
    }
  }

  async #markRecipe(run: StoredRun, manifest: string): Promise<void> {
    const recipe = await readRecipe(this.#objectStore, run)
    this.#visitor.recipe?.(run, recipe)
    const { packs, chunks } = recipe
    for (let i = 0; i < chunks.count; i++) {
      const range = { pack: packs[chunks.packs[i]!]!, offset: chunks.offsets[i]!, bytes: chunks.lengths[i]! }
      this.#mark(range, manifest)
    }
  }

  async #markImage(key: string): Promise<void> {
    const source = await this.#objectStore.get(key, { offset: 0, bytes: IMAGE_BYTES_MAX + 1 })
    if (source === undefined) return
    const image = decodeImage(source, key)
    this.#visitor.image?.(image)
    const { packs, chunks } = image
    for (let i = 0; i < chunks.count; i++) {
      const [pack, folder] = [packs[chunks.packs[i]!]!, packFolderOf(chunks.kinds[i]!)]
      this.#mark({ pack, folder, offset: chunks.offsets[i]!, bytes: chunks.lengths[i]! }, key)
    }
  }

  /** Marks a chunk where it is and, when its pack was rewritten, where it will be looked for afterwards. */
  #mark(range: PackRange, neededBy: string): void {
    const pack = this.#marks.packs.get(range.pack)
    pack?.live.add(range.offset, range.bytes)
    const note = this.#marks.moved.get(range.pack)
    const target = note === undefined ? undefined : movedRange(note, range)
    if (pack === undefined && note !== undefined) this.#forwarded.add(range.pack)
    if (target !== undefined) this.#mark(target, neededBy)
    else if (pack === undefined) this.#unlisted.set(range.pack, { range, neededBy })
  }

  /** A pack that came after the listing is not judged; one that never was is damage. */
  async #checkIsThere(range: PackRange, neededBy: string): Promise<void> {
    if ((await readPackRange(this.#objectStore, { ...range, bytes: 1 })) !== undefined) return
    throw new EngineError(
      "DATA_LOSS",
      `pack ${range.pack} is missing, and ${neededBy} needs it: nothing is collected until that one is removed`,
    )
  }
}
