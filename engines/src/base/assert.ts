// An assertion guards an invariant: when it fails, the code is wrong, not the world.
// The message is a literal: a template string would be made at each call, also when the condition holds.

/** Throws when `condition` is false: a bug, never the result of bad input or a failing disk. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`)
}
