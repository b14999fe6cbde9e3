// Doing the same for many things, several at a time.

/**
 * Maps items, at most `atOnce` at a time, and resolves the results in their order. When one fails no other is begun,
 * and the first failure is thrown when those under way are over.
 */
export async function eachAtOnce<Item, Result>(
  items: Iterable<Item>,
  atOnce: number,
  map: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const left = items[Symbol.iterator]()
  let failure: { readonly error: unknown } | undefined
  let next = 0
  const work = async (): Promise<void> => {
    for (let taken = left.next(); taken.done !== true; taken = left.next()) {
      const at = next++
      try {
        results[at] = await map(taken.value)
      } catch (error) {
        failure ??= { error }
      }
      if (failure !== undefined) return
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  if (failure !== undefined) throw failure.error
  return results
}
