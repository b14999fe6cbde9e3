// Keys and values in maps, one upon another, so that the state of a moment can be kept while writes go on.
//
//     top      what was written since the last seal      ← writes
//     …        what was written between two seals
//     bottom   all the rest                              ← records of runs, while they are loaded
//
// A seal puts an empty map on top. A reader asks from the top down and stops at the first map that knows the key;
// a deleted key is known with an empty value, but not in the bottom map, where it is just absent. Nearly always
// there is one map; while a dump runs there are two; afterwards the upper one is folded into the lower.
//
// While runs are loaded they are the bottom map, which does not have all of their records yet: a key that no map knows
// may be in a run. All that is written stays above it, and is folded into it when all is there. So keys that were loaded
// keep the order that they have in the runs, whatever was written meanwhile.
//
// Invariant: a map below the top never changes, but for the two that are being folded into one, and the bottom one
// while it is loaded.

const EMPTY = new Uint8Array(0)

/** A key as a string of one character per byte: as the key of a Map it needs no object of its own. */
export type ByteString = string

/** What lies below it is the sealed state. */
export type Layer = Map<ByteString, Uint8Array>

export class Layers {
  /** From the bottom up; never empty. */
  readonly #maps: Layer[] = [new Map()]
  /** What is being folded, and into what. */
  #folding: { readonly source: Layer; readonly target: Layer } | undefined
  #loading: { recordsLeft: number; readonly isPatched: boolean } | undefined
  #keyCount = 0
  #bytes = 0
  #changeCount = 0

  /** How often `set` was called: as long as that is the same, so is the state. */
  get changeCount(): number {
    return this.#changeCount
  }

  /** Keys with a value. While runs are loaded those count twice that were written and are not loaded yet. */
  get keyCount(): number {
    return this.#keyCount + (this.#loading?.recordsLeft ?? 0)
  }

  /** Bytes of keys and values, without what the maps themselves need. */
  get bytes(): number {
    return this.#bytes
  }

  /** As long as it is, a key that `find` does not know may be in a run. */
  get isLoading(): boolean {
    return this.#loading !== undefined
  }

  /**
   * What is known of a key: its value, not to be changed, an empty one when it was deleted; undefined when no map has
   * it.
   */
  find(key: ByteString): Uint8Array | undefined {
    // Of a patched state a newer record may still come.
    return newestOf(this.#maps, key, this.#loading?.isPatched === true ? 1 : 0)
  }

  /** The value, not to be changed; undefined when there is none. */
  get(key: ByteString): Uint8Array | undefined {
    const value = newestOf(this.#maps, key)
    return value === undefined || value.length === 0 ? undefined : value
  }

  /** Takes over `value`; an empty one deletes the key. */
  set(key: ByteString, value: Uint8Array): void {
    this.#changeCount++
    this.#count(key, this.get(key), value)
    const top = this.#maps.at(-1)!
    if (this.#folding?.source === top) {
      // The fold may have passed this key already: below is its place now.
      top.delete(key)
      this.#put(this.#folding.target, key, value)
    } else this.#put(top, key, value)
  }

  /**
   * From now on records of runs are added below all that is written, by `load`; before anything was written.
   * @param isPatched whether several of the records may have one key
   */
  beginLoad(recordCount: number, isPatched: boolean): void {
    this.#loading = { recordsLeft: recordCount, isPatched }
    this.#maps.push(new Map())
  }

  /** Adds the next record of the runs, oldest first; takes over `value`. An empty one deletes what came before. */
  load(key: ByteString, value: Uint8Array): void {
    const loading = this.#loading!
    loading.recordsLeft--
    const bottom = this.#maps[0]!
    if (newestOf(this.#maps, key, 1) === undefined) {
      this.#count(key, loading.isPatched ? bottom.get(key) : undefined, value)
    }
    this.#put(bottom, key, value)
  }

  /** All records were loaded: what is above them has to be folded once more than was sealed. */
  endLoad(): void {
    this.#loading = undefined
  }

  /** Fixes everything written so far: it lies below the layer that is returned. */
  seal(): Layer {
    const top: Layer = new Map()
    this.#maps.push(top)
    return top
  }

  /** Keys and values below `layer`, each key once, in the order in which the keys first came. */
  *entries(layer: Layer): Generator<[ByteString, Uint8Array]> {
    const below = this.#maps.slice(0, this.#maps.indexOf(layer))
    for (const entry of newestEntries(below)) if (entry[1].length > 0) yield entry
  }

  /** The same of what was written since loading began, with deleted keys: those have an empty value. */
  changes(layer: Layer): Generator<[ByteString, Uint8Array]> {
    return newestEntries(this.#maps.slice(1, this.#maps.indexOf(layer)))
  }

  /**
   * All keys with a value from the first step to the last, and others; a key may come several times. From the top
   * down: a key that leaves its map meanwhile goes to the bottom.
   */
  *keys(): Generator<ByteString> {
    for (const map of [...this.#maps].reverse()) yield* map.keys()
  }

  /**
   * Moves the second map into the bottom one, or, while that is loaded, the third into the second: one key a step. No
   * `entries` or `changes` may be under way.
   */
  *fold(): Generator<void> {
    const at = this.#loading === undefined ? 1 : 2
    const [target, source] = [this.#maps[at - 1], this.#maps[at]]
    if (target === undefined || source === undefined) return
    this.#folding = { source, target }
    for (const [key, value] of source) {
      this.#put(target, key, value)
      yield
    }
    this.#folding = undefined
    this.#maps.splice(at, 1)
  }

  /** Keeps account of a key that had the value `before`, undefined for none, and has `value` now, empty for none. */
  #count(key: ByteString, before: Uint8Array | undefined, value: Uint8Array): void {
    if (before !== undefined) {
      this.#keyCount--
      this.#bytes -= key.length + before.length
    }
    if (value.length > 0) {
      this.#keyCount++
      this.#bytes += key.length + value.length
    }
  }

  #put(map: Layer, key: ByteString, value: Uint8Array): void {
    if (value.length > 0) map.set(key, value)
    else if (map === this.#maps[0]) map.delete(key)
    else map.set(key, EMPTY)
  }
}

/** @param from the lowest map that is asked */
function newestOf(maps: readonly Layer[], key: ByteString, from = 0): Uint8Array | undefined {
  for (let i = maps.length - 1; i >= from; i--) {
    const value = maps[i]!.get(key)
    if (value !== undefined) return value
  }
  return undefined
}

/** Each key once: a key keeps its place when its value changes, so dumps of nearly the same are nearly the same bytes. */
function* newestEntries(maps: readonly Layer[]): Generator<[ByteString, Uint8Array]> {
  for (const [depth, map] of maps.entries()) {
    for (const key of map.keys()) if (!isKnown(maps, depth, key)) yield [key, newestOf(maps, key)!]
  }
}

function isKnown(maps: readonly Layer[], below: number, key: ByteString): boolean {
  for (let i = 0; i < below; i++) if (maps[i]!.has(key)) return true
  return false
}
