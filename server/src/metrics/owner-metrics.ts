// Who owns the partitions, by store and partition, read from the engines when somebody asks.

import type { Engine } from "@varve/engines"
import { Gauge, type Registry } from "prom-client"

type Owner = Engine["owner"]

interface OwnedStore {
  readonly settings: { readonly name: string }
  readonly partitions: readonly { readonly index: number; readonly engine: { readonly owner: Owner } }[]
}

/** Registers the owners of `stores`, all present from the start. */
export function registerOwnerMetrics(registry: Registry, stores: readonly OwnedStore[]): void {
  const labelNames = ["store", "partition"] as const
  const owners = (record: (labels: { store: string; partition: string }, owner: Owner) => void): void => {
    for (const { settings, partitions } of stores) {
      for (const { index, engine } of partitions) {
        record({ store: settings.name, partition: String(index) }, engine.owner)
      }
    }
  }
  new Gauge({
    name: "varve_owner_epoch",
    help: "Epoch under which the daemon took the partition; each daemon that takes it has a higher one.",
    labelNames,
    registers: [registry],
    collect() {
      owners((labels, { epoch }) => this.set(labels, epoch))
    },
  })
  new Gauge({
    name: "varve_owner_fenced",
    help: "1 when another daemon has taken the partition: every call here is refused. Alert on it; start one of them anew.",
    labelNames,
    registers: [registry],
    collect() {
      owners((labels, { isFenced }) => this.set(labels, isFenced ? 1 : 0))
    },
  })
}
