// "Did you mean …": the known name that is fewest edits away from a misspelt one.

const EDITS_MAX = 3
const NAME_LENGTH_MAX = 100

/** The nearest of `known` within three edits of `name` (fewer for short names); undefined when none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > NAME_LENGTH_MAX) return undefined
  const editsMax = Math.min(EDITS_MAX, Math.floor(name.length / 2))
  let nearest: string | undefined
  let nearestEdits = editsMax + 1
  for (const candidate of known) {
    const edits = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (edits < nearestEdits) {
      nearest = candidate
      nearestEdits = edits
    }
  }
  return nearest
}

/** Levenshtein's distance, by the two-row method of Wagner and Fischer (1974). */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(previous[j]! + 1, current[j - 1]! + 1, replaced))
    }
    previous = current
  }
  return previous[b.length]!
}
