// All dashboards, and the files that they are kept in. `npm run dashboards` writes them.

import { type DashboardPlan, makeDashboard } from "./dashboard.ts"
import { engines } from "./engines.ts"
import { overview } from "./overview.ts"

import { partitions } from "./partitions.ts"
import { runtime } from "./runtime.ts"
import { snapshots } from "./snapshots.ts"

const plans: readonly DashboardPlan[] = [overview, partitions, snapshots, engines, runtime]

export interface DashboardFile {
  readonly name: string
  readonly text: string
}

/** What `deploy/grafana/dashboards` holds. */
export function dashboardFiles(): DashboardFile[] {
  return plans.map((plan) => ({
    name: `${plan.name}.json`,
    text: `${JSON.stringify(makeDashboard(plan, plans), undefined, 2)}\n`,
  }))
}
