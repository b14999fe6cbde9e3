// For tests in which much fails on purpose: a rejection that nobody handles belongs to the test it happened in.

import { afterEach, beforeEach, expect } from "vitest"

/** From here on each test of the file fails when a rejection was not handled in it. */
export function expectNoUnhandledRejections(): void {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  beforeEach(() => void process.on("unhandledRejection", note))
  afterEach(() => {
    process.off("unhandledRejection", note)
    expect(unhandled.splice(0)).toEqual([])
  })
}
