import { VarveError } from "@varve/client"

/** The reason that the call fails with; "none" when it does not. */
export async function reasonOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    if (error instanceof VarveError) return error.reason
    throw error
  }
  return "none"
}
