// Runs once before the tests: what crosses a package imports the built packages, as users do.

import { execFileSync } from "node:child_process"

export default function buildPackages(): void {
  if (process.env["VARVE_NO_BUILD"] === "1") return
  execFileSync("npx", ["tsc", "-b"], { stdio: "inherit" })
}
