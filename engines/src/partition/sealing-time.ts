// When the version was sealed that a state on disk stands on. The state file says so, since software that counts what no
// version holds; a file of older software does not, and without the time a state with versions would look like one that
// has none. Then the version itself says it.

import { isEngineError } from "../base/error.ts"
import type { PartitionIdentity, PartitionParts } from "./live-state.ts"
import type { StateDescription } from "./state-file.ts"

/**
 * The same state; its `changes` say when its newest version was sealed, as far as that can be found out: one manifest is
 * read when they do not. A time that cannot be found out is no error: it stays 0 until the next version.
 */
export async function withSealingTime(
  state: StateDescription,
  { store, partition }: PartitionIdentity,
  { repository, warn }: Pick<PartitionParts, "repository" | "warn">,
): Promise<StateDescription> {
  const newest = state.line.at(-1)
  const { changes } = state
  if (newest === undefined || (changes !== undefined && changes.sealedMs > 0)) return state
  try {
    const { createdMs } = await repository.readManifest(store, partition, newest)
    return { ...state, changes: { records: 0, bytes: 0, ...changes, sealedMs: createdMs } }
  } catch (error) {
    if (!isEngineError(error)) throw error
    warn(`it is not known when version ${newest.version} was sealed`, error)
    return state
  }
}
