// Whether the counts in a store are right.

import { connect, isVarveError, type ScanOptions } from "@varve/client"

/** What differs between the counts in a store (or in one partition of it) and `expected`; empty when they are equal. */
export async function wrongCounts(
  address: string,
  store: string,
  expected: ReadonlyMap<string, number>,
  where: ScanOptions = {},
): Promise<string[]> {
  const state = connect(address, { store })
  const found = new Map<string, number>()
  try {
    for await (const { key, value } of state.scan(where)) found.set(key.toString(), Number(value.toString()))
  } catch (error) {
    if (!isVarveError(error, "STATE_REPLACED")) throw error
    return ["a restore has put another state in its place meanwhile"]
  } finally {
    await state.close()
  }
  return [...new Set([...expected.keys(), ...found.keys()])]
    .filter((word) => expected.get(word) !== found.get(word))
    .map((word) => `${word} is ${found.get(word) ?? 0}, should be ${expected.get(word) ?? 0}`)
}
