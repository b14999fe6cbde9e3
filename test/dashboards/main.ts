// `npm run dashboards` writes deploy/grafana/dashboards anew.

import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { dashboardFiles } from "./all-dashboards.ts"

const folder = fileURLToPath(new URL("../../deploy/grafana/dashboards", import.meta.url))

await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })
for (const { name, text } of dashboardFiles()) await writeFile(join(folder, name), text)
