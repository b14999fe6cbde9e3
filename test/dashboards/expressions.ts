// Just enough of Prometheus's language to ask whether a query has anything to answer: a condition that does not hold
// is an empty answer, and so is a misspelt metric. So conditions are taken apart, and what they compare is asked for.

const OPEN = "([{"
const CLOSE = ")]}"
const QUOTES = "\"'`"

const comparison = /^(?:[=!]=|[<>]=?)/
const setOperator = /^(?:and|or|unless)\b/

/**
 * What the conditions of `expression` compare: `a > 2 * b and (c == 1)` yields `a`, `2 * b`, `c` and `1`. Conditions inside
 * of functions and aggregations stay where they are; `hasCondition` finds them.
 */
export function operandsOf(expression: string): string[] {
  const parts = split(expression)
  if (parts.length > 1) return parts.flatMap(operandsOf)
  const inner = unwrapped(parts[0]!)
  return inner === undefined ? parts : operandsOf(inner)
}

/** Whether there is a condition anywhere, also inside of parentheses; matchers of labels and what is `bool` are none. */
export function hasCondition(expression: string): boolean {
  const bare = expression.replace(/\{[^}]*\}/g, "").replace(/"(?:[^"\\]|\\.)*"/g, "")
  return /(?:[<>]=?|[=!]=)(?!=|\s*bool\b)/.test(bare)
}

function split(expression: string): string[] {
  const parts: string[] = []
  let start = 0
  let depth = 0
  for (let at = 0; at < expression.length; at++) {
    const character = expression[at]!
    if (QUOTES.includes(character)) at = endOfText(expression, at)
    else if (OPEN.includes(character)) depth++
    else if (CLOSE.includes(character)) depth--
    else if (depth === 0) {
      const operator = operatorAt(expression, at)
      if (operator === undefined) continue
      parts.push(expression.slice(start, at))
      at += operator.length - 1
      start = at + 1
    }
  }
  return [...parts, expression.slice(start)].map(withoutModifiers)
}

function operatorAt(expression: string, at: number): string | undefined {
  const rest = expression.slice(at)
  const startsWord = !/[\w:]/.test(expression[at - 1] ?? " ")
  return comparison.exec(rest)?.[0] ?? (startsWord ? setOperator.exec(rest)?.[0] : undefined)
}

/** `on (…)`, `group_left` and `bool` belong to the operator before them. */
function withoutModifiers(part: string): string {
  return part
    .trim()
    .replace(/^bool\b\s*/, "")
    .replace(/^(?:on|ignoring)\s*\([^)]*\)\s*/, "")
    .replace(/^group_(?:left|right)\b\s*(?:\([^)]*\)\s*)?/, "")
}

/** What is inside of parentheses around the whole of `expression`. */
function unwrapped(expression: string): string | undefined {
  if (!expression.startsWith("(")) return undefined
  let depth = 0
  for (let at = 0; at < expression.length; at++) {
    const character = expression[at]!
    if (QUOTES.includes(character)) at = endOfText(expression, at)
    else if (OPEN.includes(character)) depth++
    else if (CLOSE.includes(character) && --depth === 0)
      return at === expression.length - 1 ? expression.slice(1, at) : undefined
  }
  return undefined
}

function endOfText(expression: string, start: number): number {
  const end = expression.indexOf(expression[start]!, start + 1)
  if (end === -1) throw new Error(`a text does not end in: ${expression}`)
  return end
}
