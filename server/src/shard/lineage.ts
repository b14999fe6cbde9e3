// Whether a caller knows what a partition holds now: asked by frames on a shard, and by snapshots on main.

import { VarveError } from "@varve/proto"

/** @throws VarveError `STATE_REPLACED` unless `lineage` is the partition's */
export function checkLineage(
  { index, engine }: { readonly index: number; readonly engine: { readonly lineage: string } },
  lineage: string,
): void {
  if (lineage === engine.lineage) return
  throw new VarveError(
    "STATE_REPLACED",
    `the state of partition ${index} was replaced since the caller last looked (by a restore or a crash): ` +
      "restore a version and replay",
    { metadata: { lineage: engine.lineage } },
  )
}
