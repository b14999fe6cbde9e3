// Who owns the partitions, by store and partition, read from the engines when somebody asks.

import type { Engine } from "@varve/engines"
import type { Registry } from "prom-client"
import { registerLabelledReadMetric } from "./read-metrics.ts"

type Owner = Engine["owner"]

interface OwnedStore {
  readonly settings: { readonly name: string }
  readonly partitions: readonly { readonly index: number; readonly engine: { readonly owner: Owner } }[]
}

/** Registers the owners of `stores`, all present from the start. */
export function registerOwnerMetrics(registry: Registry, stores: readonly OwnedStore[]): void {
  const partitions = stores.flatMap(({ settings, partitions: all }) =>
    all.map(({ index, engine }) => ({ labels: { store: settings.name, partition: String(index) }, engine })),
  )
  const gauge = (name: string, help: string, of: (owner: Owner) => number): void =>
    registerLabelledReadMetric(registry, {
      ...{ name, help, type: "gauge" },
      labels: partitions.map(({ labels }) => labels),
      read: () => partitions.map(({ engine }) => of(engine.owner)),
    })
  gauge(
    "varve_owner_epoch",
    "Epoch under which the daemon took the partition; each daemon that takes it has a higher one.",
    ({ epoch }) => epoch,
  )
  gauge(
    "varve_owner_fenced",
    "1 when another daemon has taken the partition: every call here is refused. Alert on it; start one of them anew.",
    ({ isFenced }) => (isFenced ? 1 : 0),
  )
}
