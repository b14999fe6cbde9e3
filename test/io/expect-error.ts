// What tests say about errors.

import { type ErrorReason, isEngineError } from "@varve/engines/internal"
import { expect } from "vitest"

/** Resolves the message of the EngineError with `reason` that `promise` must reject with. */
export async function expectReason(promise: Promise<unknown>, reason: ErrorReason): Promise<string> {
  const error = await promise.then(
    () => new Error(`expected ${reason}, but the call succeeded`),
    (thrown: unknown) => thrown,
  )
  if (!isEngineError(error)) throw error
  expect(error.reason).toBe(reason)
  return error.message
}
