// Bounds in time and number of what is asked of an S3 store.

export interface S3Limits {
  /** Requests under way at a time, and connections kept open. Others wait in order. */
  readonly requestsMax: number
  /** Requests that wait. Callers bound what they ask at a time; more is a runaway. */
  readonly waitingMax: number
  /** Until there is a connection. */
  readonly connectMs: number
  /** A connection on which nothing comes or goes for so long is given up. */
  readonly silenceMs: number
  /** One attempt, body included: 32 MiB at 0.5 MB/s. */
  readonly attemptMs: number
  /** From a call's start on; no attempt begins after it. */
  readonly callMs: number
  /** The wait before attempt n + 1 is, by chance, half to all of `pauseMs` · 2^(n - 1), `pauseMaxMs` at most. */
  readonly pauseMs: number
  readonly pauseMaxMs: number
  /** An object that is read whole; the largest pack is 256 MiB and its entries. */
  readonly objectBytesMax: number
  /** Objects of one page of a listing: what S3 gives at most, and of a listing. */
  readonly pageObjects: number
  readonly listedMax: number
}

export const s3Limits: S3Limits = {
  requestsMax: 16,
  waitingMax: 10_000,
  connectMs: 5_000,
  silenceMs: 15_000,
  attemptMs: 60_000,
  callMs: 30_000,
  pauseMs: 50,
  pauseMaxMs: 5_000,
  objectBytesMax: 512 * 1024 * 1024,
  pageObjects: 1000,
  listedMax: 10_000_000,
}
