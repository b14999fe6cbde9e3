// Two daemons as processes on one repository, killed, stopped and woken too late: a step of each kind, because processes
// take their time. `npm run life -- --daemons` lives longer.

import { expect, test } from "vitest"
import { liveAsDaemons } from "./live.ts"

const SEED = 3

test(`two daemons, seed ${SEED}: what they serve is what was promised`, { timeout: 180_000 }, async () => {
  const counts = await liveAsDaemons(SEED, 0)
  for (const what of ["versions", "restores", "kills in a version", "takeovers"]) {
    expect(counts.get(what), what).toBeGreaterThan(0)
  }
})
