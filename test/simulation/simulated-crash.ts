// What every call of a simulated disk rejects with once the machine has stopped. Never an EngineError: the code
// under test must not take it for something that the world did to a living process.

export class SimulatedCrash extends Error {
  override readonly name = "SimulatedCrash"
}

/** Waits for `promise`; swallows the crash, and nothing else. Resolves `undefined` after a crash. */
export async function untilCrash<Result>(promise: Promise<Result>): Promise<Result | undefined> {
  try {
    return await promise
  } catch (error) {
    if (error instanceof SimulatedCrash) return undefined
    throw error
  }
}
