// From where on a figure is no longer well, the same on all dashboards. The red ones are those of the alerts where
// there is one.

import type { Steps } from "./panel.ts"

/** For figures that are neither good nor bad. */
export const neutral: Steps = [["blue", null]]

/** For counts of what should not be. */
export const zeroIsGood: Steps = [
  ["green", null],
  ["red", 1],
]

/** Green below `warn`, red from `alarm` on. */
export function upTo(warn: number, alarm: number): Steps {
  return [
    ["green", null],
    ["yellow", warn],
    ["red", alarm],
  ]
}

/** The same, of a figure that is missing where something is wrong. */
export function presentUpTo(warn: number, alarm: number): Steps {
  return [["red", null], ["green", 0], ...upTo(warn, alarm).slice(1)]
}

/** A line at `alarm`, for panels over time. */
export function lineAt(alarm: number): Steps {
  return [
    ["transparent", null],
    ["red", alarm],
  ]
}
