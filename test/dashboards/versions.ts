// Panels about the safety of the state that stand on more than one dashboard.

import { inStore } from "./dashboard.ts"
import { type Panel, stat } from "./panel.ts"
import { presentUpTo, upTo } from "./thresholds.ts"

const MIB = 1024 * 1024

export const newestVersion: Panel = stat(
  "Newest version",
  "Age of the newest version, of the store where it is oldest. What was written since is lost with the machine.",
  {
    unit: "s",
    query: `max(time() - (varve_snapshot_last_timestamp_seconds{${inStore}} > 0))`,
    steps: presentUpTo(300, 900),
    none: "there is none",
  },
)

export const unsaved: Panel = stat(
  "Would be lost",
  "What was written since the newest version, each time it was: lost with the machine, and without a log in a crash too.",
  { unit: "bytes", query: `sum(varve_unsaved_bytes{${inStore}})`, steps: upTo(256 * MIB, 1024 * MIB) },
)

const failing = `max(varve_drill_failing{${inStore}})`
const isNever = `(min(varve_snapshot_last_verified_timestamp_seconds{${inStore}}) == bool 0)`

export const lastDrill: Panel = stat(
  "Last drill",
  "Whether the newest version could be put back, from the repository alone, when that was last tried.",
  {
    unit: "none",
    query: `${failing} + 2 * (1 - ${failing}) * ${isNever}`,
    words: { 0: ["passed", "green"], 1: ["failed", "red"], 2: ["never", "yellow"] },
  },
)

/** Until a new machine has its first answer, or has everything. */
export function recovery(until: "first_answer" | "complete", warn: number, alarm: number): Panel {
  const what = until === "complete" ? "has fetched everything" : "gives its first answer"
  return stat("Recovery takes", `Time until a new machine ${what}, by what the last drill has measured.`, {
    unit: "s",
    query: `max(varve_recovery_predicted_seconds{${inStore},until="${until}"})`,
    steps: upTo(warn, alarm),
    words: { 0: ["unknown", "yellow"] },
  })
}
