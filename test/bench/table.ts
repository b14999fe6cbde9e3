// Text in columns.

/** Lines with columns as wide as their longest cell; the first `leftCount` stand left. A missing cell is a dash. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | undefined)[])[],
  leftCount: number,
): string[] {
  const all = [head, ...rows.map((row) => head.map((_, column) => row[column] ?? "–"))]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  return all.map((row) =>
    row
      .map((cell, column) =>
        column < leftCount ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join("  ")
      .trimEnd(),
  )
}
