// One listener for each signal, however many calls share it: a worker hands the same signal to all its calls, and a
// signal looks through all of its listeners whenever one is added or removed.

const watchers = new WeakMap<AbortSignal, Watcher>()

interface Watcher {
  readonly listeners: Set<() => void>
  readonly onAbort: () => void
}

/** Calls `listener` once when the signal is aborted, unless `unwatchAbort` comes before. */
export function watchAbort(signal: AbortSignal, listener: () => void): void {
  let watcher = watchers.get(signal)
  if (watcher === undefined) {
    const listeners = new Set<() => void>()
    const onAbort = (): void => {
      for (const each of [...listeners]) each()
    }
    watcher = { listeners, onAbort }
    watchers.set(signal, watcher)
    signal.addEventListener("abort", onAbort, { once: true })
  }
  watcher.listeners.add(listener)
}

/** Takes the listener off; does nothing when it is not there. */
export function unwatchAbort(signal: AbortSignal, listener: () => void): void {
  const watcher = watchers.get(signal)
  if (watcher === undefined) return
  watcher.listeners.delete(listener)
  if (watcher.listeners.size > 0) return
  watchers.delete(signal)
  signal.removeEventListener("abort", watcher.onAbort)
}
