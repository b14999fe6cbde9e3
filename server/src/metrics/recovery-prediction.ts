// How long a recovery from the repository would take now, by what the last drill has measured then.
//
//   first answer = seconds until a restore would have answered      × bytes of the state now / bytes of the version drilled
//   complete     = seconds until all of it had come and was proven  × the same
//
// A drill reads as a restore does, from the same repository, with its pauses left out; it checks every record besides,
// and has no disk to write to. It is the order of magnitude that counts: minutes or hours.

/** Seconds. */
export interface Recovery {
  readonly firstAnswerSeconds: number
  readonly completeSeconds: number
}

/**
 * The prediction for a state of `stateBytes`, when `drilled` is what was measured with one of `drilledBytes`. A state of
 * which nothing is on disk yet counts as unchanged.
 */
export function predictRecovery(drilled: Recovery, drilledBytes: number, stateBytes: number): Recovery {
  const growth = drilledBytes === 0 || stateBytes === 0 ? 1 : stateBytes / drilledBytes
  return {
    firstAnswerSeconds: drilled.firstAnswerSeconds * growth,
    completeSeconds: drilled.completeSeconds * growth,
  }
}
