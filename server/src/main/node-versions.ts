// When Node's versions stop getting security fixes (nodejs.org/en/about/previous-releases).

const endOfLife: Readonly<Record<number, string>> = {
  20: "2026-04-30",
  21: "2024-06-01",
  22: "2027-04-30",
  23: "2025-06-01",
  24: "2028-04-30",
  25: "2026-06-01",
}

/** A warning when Node `version` (`20.19.1`) gets no security fixes at `nowMs` any more; otherwise undefined. */
export function nodeVersionWarning(version: string, nowMs: number): string | undefined {
  const end = endOfLife[Number.parseInt(version, 10)]
  if (end === undefined || nowMs <= Date.parse(`${end}T23:59:59Z`)) return undefined
  return `Node ${version} gets no security fixes since ${end}: run the daemon on a current LTS version`
}
