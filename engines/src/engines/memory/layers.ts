// Keys and values in maps, one upon another, so that the state of a moment can be kept while writes go on.
//
//     top      what was written since the last seal      ← writes
//     …        what was written between two seals
//     bottom   all the rest
//
// A seal puts an empty map on top. A reader asks from the top down and stops at the first map that knows the key;
// a deleted key is known with an empty value, but not in the bottom map, where it is just absent. Nearly always
// there is one map; while a dump runs there are two; afterwards the upper one is folded into the lower.
//
// Invariant: a map below the top never changes, but for the two that are being folded into one.

const EMPTY = new Uint8Array(0)

/** A key as a string of one character per byte: as the key of a Map it needs no object of its own. */
export type ByteString = string

/** What lies below it is the sealed state. */
export type Layer = Map<ByteString, Uint8Array>

export class Layers {
  /** From the bottom up; never empty. */
  readonly #maps: Layer[] = [new Map()]
  #isFolding = false
  #keyCount = 0
  #bytes = 0
  #changeCount = 0

  /** How often `set` was called: as long as that is the same, so is the state. */
  get changeCount(): number {
    return this.#changeCount
  }

  /** Keys with a value. */
  get keyCount(): number {
    return this.#keyCount
  }

  /** Bytes of keys and values, without what the maps themselves need. */
  get bytes(): number {
    return this.#bytes
  }

  /** The value, not to be changed; undefined when there is none. */
  get(key: ByteString): Uint8Array | undefined {
    const value = newestOf(this.#maps, key)
    return value === undefined || value.length === 0 ? undefined : value
  }

  /** Takes over `value`; an empty one deletes the key. */
  set(key: ByteString, value: Uint8Array): void {
    this.#changeCount++
    const before = this.get(key)
    if (before !== undefined) {
      this.#keyCount--
      this.#bytes -= key.length + before.length
    }
    if (value.length > 0) {
      this.#keyCount++
      this.#bytes += key.length + value.length
    }
    const [bottom, upper] = this.#maps
    if (upper === undefined) {
      put(bottom!, key, value)
    } else if (this.#isFolding && this.#maps.length === 2) {
      // The fold may have passed this key already: below is its place now.
      upper.delete(key)
      put(bottom!, key, value)
    } else {
      this.#maps.at(-1)!.set(key, value.length === 0 ? EMPTY : value)
    }
  }

  /** Adds a key that has no value yet, before anything was sealed; takes over `value`, which is not empty. */
  add(key: ByteString, value: Uint8Array): void {
    this.#changeCount++
    this.#keyCount++
    this.#bytes += key.length + value.length
    this.#maps[0]!.set(key, value)
  }

  /** Fixes everything written so far: it lies below the layer that is returned. */
  seal(): Layer {
    const top: Layer = new Map()
    this.#maps.push(top)
    return top
  }

  /** Keys and values below `layer`, each key once, in the order in which the keys first came. */
  *entries(layer: Layer): Generator<[ByteString, Uint8Array]> {
    const maps = this.#maps.slice(0, this.#maps.indexOf(layer))
    // A key keeps its place when its value changes, so two dumps of nearly the same state are nearly the same bytes.
    for (const [depth, map] of maps.entries()) {
      for (const key of map.keys()) {
        if (isKnown(maps, depth, key)) continue
        const value = newestOf(maps, key)!
        if (value.length > 0) yield [key, value]
      }
    }
  }

  /**
   * All keys with a value from the first step to the last, and others; a key may come several times. From the top
   * down: a key that leaves its map meanwhile goes to the bottom.
   */
  *keys(): Generator<ByteString> {
    for (const map of [...this.#maps].reverse()) yield* map.keys()
  }

  /** Moves the second map into the bottom one: one key a step. No `entries` may be under way. */
  *fold(): Generator<void> {
    const [bottom, upper] = this.#maps
    if (bottom === undefined || upper === undefined) return
    this.#isFolding = true
    for (const [key, value] of upper) {
      put(bottom, key, value)
      yield
    }
    this.#isFolding = false
    this.#maps.splice(1, 1)
  }
}

function put(bottom: Layer, key: ByteString, value: Uint8Array): void {
  if (value.length === 0) bottom.delete(key)
  else bottom.set(key, value)
}

function newestOf(maps: readonly Layer[], key: ByteString): Uint8Array | undefined {
  for (let i = maps.length - 1; i >= 0; i--) {
    const value = maps[i]!.get(key)
    if (value !== undefined) return value
  }
  return undefined
}

function isKnown(maps: readonly Layer[], below: number, key: ByteString): boolean {
  for (let i = 0; i < below; i++) if (maps[i]!.has(key)) return true
  return false
}
