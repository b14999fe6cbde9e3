// Waiting in a test for what comes by itself: asked again and again, with an end that says what did not come.

import { setTimeout as sleep } from "node:timers/promises"

/** Then something is wrong: below vitest's own limit, so that daemons are stopped and the message is told. */
const UNTIL_MS = 45_000
const EVERY_MS = 20

/**
 * What `find` answers as soon as that is neither undefined nor false.
 * @param explain lines that help whoever reads that it did not come
 * @throws (rejects) an error with `what`, or whatever `find` throws
 */
export async function until<Found>(
  what: string,
  find: () => Found | Promise<Found>,
  explain: () => readonly string[] | Promise<readonly string[]> = () => [],
): Promise<Exclude<Found, false | undefined>> {
  const endMs = performance.now() + UNTIL_MS
  for (;;) {
    const found = await find()
    if (found !== undefined && found !== false) return found as Exclude<Found, false | undefined>
    if (performance.now() > endMs) {
      throw new Error([`${what}: not within ${UNTIL_MS} ms`, ...(await explain())].join("\n"))
    }
    await sleep(EVERY_MS)
  }
}
