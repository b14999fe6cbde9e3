// Whether a shard's thread still loads its modules, in memory that main sees too.
//
// A thread must not be ended before: V8 cuts the linking of modules short, Node asks what was not linked whether it is
// asynchronous (`Module::IsGraphAsync`), and that aborts the whole process with SIGABRT. Memory and no message, for main has
// to wait for it also when the process exits, where no event comes any more.
//
//   loading ──► loaded     by the thread
//      └──────► failed     by the thread, or by main when the thread has died

/** A number that the thread changes once. */
export type LoadingState = Int32Array<SharedArrayBuffer>

const LOADING = 0
const LOADED = 1
const FAILED = 2

/** Not in the language level that this package is checked against, but in every Node that it runs on. */
const { waitAsync } = Atomics as unknown as {
  waitAsync(
    array: LoadingState,
    index: number,
    value: number,
    timeoutMs: number,
  ): { value: string | Promise<string> }
}

/** Of a thread that is about to be started. */
export function newLoadingState(): LoadingState {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
}

/** Resolves what `load` gives; the state says then that it has. @throws (rejects) as `load` does */
export async function loadNoted<Module>(state: LoadingState, load: () => Promise<Module>): Promise<Module> {
  try {
    const module = await load()
    end(state, LOADED)
    return module
  } catch (error) {
    end(state, FAILED)
    throw error
  }
}

/** To be called when the thread is gone. */
export function noteDeath(state: LoadingState): void {
  end(state, FAILED)
}

/** Whether the thread died while it was loading. */
export function hasFailedToLoad(state: LoadingState): boolean {
  return Atomics.load(state, 0) === FAILED
}

/** Resolves when the thread does not load any more, or after `timeoutMs`. Keeps no process alive. */
export async function loadingEnds(state: LoadingState, timeoutMs: number): Promise<void> {
  await waitAsync(state, 0, LOADING, timeoutMs).value
}

/** The same, holding this thread until then. */
export function waitForLoadingEnd(state: LoadingState, timeoutMs: number): void {
  Atomics.wait(state, 0, LOADING, timeoutMs)
}

function end(state: LoadingState, value: number): void {
  Atomics.compareExchange(state, 0, LOADING, value)
  Atomics.notify(state, 0)
}
