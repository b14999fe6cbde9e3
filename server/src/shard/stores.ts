// The stores of a shard, by name.

import { VarveError } from "@varve/proto"
import type { Store } from "./store.ts"

const DEFAULT_STORE = "default"

export class Stores {
  readonly #byName: ReadonlyMap<string, Store>

  constructor(stores: readonly Store[]) {
    this.#byName = new Map(stores.map((store) => [store.settings.name, store]))
  }

  /** All stores, by name. */
  get all(): readonly Store[] {
    return [...this.#byName.values()]
  }

  /** The store of this name; empty means "default". @throws VarveError `STORE_UNKNOWN` */
  get(name: string): Store {
    const store = this.#byName.get(name === "" ? DEFAULT_STORE : name)
    if (store !== undefined) return store
    const known = [...this.#byName.keys()].join(", ")
    throw new VarveError(
      "STORE_UNKNOWN",
      `there is no store ${JSON.stringify(name.slice(0, 100))} here; known: ${known}`,
    )
  }
}
