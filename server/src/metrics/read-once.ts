// Figures that many metrics are taken from are read once for a page: all metrics of a registry are read in one turn.

/** `read`, whose answer is kept for the rest of the turn. */
export function readOnce<Figures>(read: () => Figures): () => Figures {
  let known: { readonly figures: Figures } | undefined
  return () => {
    if (known === undefined) {
      known = { figures: read() }
      queueMicrotask(() => {
        known = undefined
      })
    }
    return known.figures
  }
}
