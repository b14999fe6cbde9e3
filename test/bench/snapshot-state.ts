// The state that versions are taken of: an engine, its repository, and writes that make every value another one, so
// that nothing is found again which was not stored before.

import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { type Engine, type EngineName, openEngine, Repository } from "@varve/engines"
import { openProvenObjectStore, systemSeams } from "@varve/engines/internal"
import { seededBits } from "./random.ts"
import { newKey, setKey, VALUE_BYTES } from "./workload.ts"

const U32_BYTES = 4

/** Directories of a subject below `directory`. */
export function statePaths(directory: string): { readonly state: string; readonly repository: string } {
  return { state: join(directory, "state"), repository: join(directory, "repository") }
}

export class MeasuredState {
  readonly engine: Engine
  readonly #packs: string
  readonly #close: () => Promise<void>
  readonly #key = newKey()
  readonly #value = Buffer.alloc(VALUE_BYTES)
  readonly #bits = seededBits(7)
  #version = 0

  private constructor(engine: Engine, packs: string, close: () => Promise<void>) {
    this.engine = engine
    this.#packs = packs
    this.#close = close
  }

  /** Opens an empty one in `directory`. */
  static async open(name: string, directory: string, deduplication: boolean): Promise<MeasuredState> {
    const paths = statePaths(directory)
    const seams = systemSeams({ threads: 1 })
    const objectStore = await openProvenObjectStore(`file:${paths.repository}`, seams)
    const repository = await Repository.open(objectStore, seams, { deduplication })
    const engine = await openEngine({ engine: name as EngineName, directory: paths.state, repository, seams })
    return new MeasuredState(engine, join(paths.repository, "packs"), async () => {
      await engine.close()
      await repository.close()
      await objectStore.close()
      await seams.close()
    })
  }

  /** The next version. */
  snapshot() {
    return this.engine.snapshot({ version: ++this.#version })
  }

  /** Gives the record a value that it never had. */
  set(record: number): Promise<void> | undefined {
    for (let at = 0; at < VALUE_BYTES; at += U32_BYTES) this.#value.writeUInt32LE(this.#bits(), at)
    return this.engine.set(this.keyOf(record), this.#value)
  }

  /** Valid until the next call. */
  keyOf(record: number): Buffer {
    setKey(this.#key, record)
    return this.#key
  }

  /** Packs in the repository; each version adds one manifest to them. */
  packCount(): number {
    return this.#packPaths().length
  }

  packBytes(): number {
    return this.#packPaths().reduce((bytes, path) => bytes + statSync(path).size, 0)
  }

  close(): Promise<void> {
    return this.#close()
  }

  #packPaths(): string[] {
    const names = readdirSync(this.#packs, { recursive: true, encoding: "utf8" })
    return names.filter((name) => name.endsWith(".pack")).map((name) => join(this.#packs, name))
  }
}
