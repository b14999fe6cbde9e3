// What a suite hands to the printer.

export interface SuiteResult {
  readonly suite: string
  /** Everything that somebody needs to judge the figures. */
  readonly parameters: Readonly<Record<string, string | number>>
  /** For people. */
  readonly lines: readonly string[]
  /** For programs. */
  readonly figures: unknown
}
