// Stores by name: of main, with their versions, or of a shard, with their records.

import { VarveError } from "@varve/proto"

const DEFAULT_STORE = "default"

export class Stores<Kind extends { readonly settings: { readonly name: string } }> {
  readonly #byName: ReadonlyMap<string, Kind>

  constructor(stores: readonly Kind[]) {
    this.#byName = new Map(stores.map((store) => [store.settings.name, store]))
  }

  /** All stores, by name. */
  get all(): readonly Kind[] {
    return [...this.#byName.values()]
  }

  /** The store of this name; empty means "default". @throws VarveError `STORE_UNKNOWN` */
  get(name: string): Kind {
    const store = this.#byName.get(name === "" ? DEFAULT_STORE : name)
    if (store !== undefined) return store
    const known = [...this.#byName.keys()].join(", ")
    throw new VarveError(
      "STORE_UNKNOWN",
      `there is no store ${JSON.stringify(name.slice(0, 100))} here; known: ${known}`,
    )
  }
}
