// Writes what the Helm chart makes of each set of values: deploy/helm/rendered. `helm.test.ts` compares.

import { writeFileSync } from "node:fs"
import { renderChart, renderedPath, valuesFiles } from "./chart.ts"

for (const [name, values] of valuesFiles()) writeFileSync(renderedPath(name), renderChart(values))
