// What a client has done and what is on its way, as plain numbers: for whoever runs the worker, among the worker's own
// metrics. Nothing is counted for a call; a frame costs two additions.

/** Counts grow from `connect` on; the other numbers are of the moment. */
export interface StateStatistics {
  /** `get`, `set`, … that the limit of bytes in flight holds up, or that nobody has described the store. */
  readonly callsWaiting: number
  /** Bytes of keys and values in frames that left; at most `inflightBytesMax`, unless one call alone has more. */
  readonly inflightBytes: number
  /** Frames that gather calls, wait for a connection or for an answer. */
  readonly inflightFrames: number
  /** Connections that frames can go over now; one for each address that the store's partitions have. */
  readonly connectionsOpen: number
  /** How often one was opened. More than there are addresses: as many came back. */
  readonly connectionsOpened: number
  /** How often one ended by itself: broken, or the daemon went down. */
  readonly connectionsLost: number
  /** Frames given to a connection, each time. */
  readonly framesSent: number
  /** Those of them that had been given to one before. */
  readonly framesSentAgain: number
}

/** Of all connections of a client together. */
export class ConnectionCounts {
  opened = 0
  lost = 0
  framesSent = 0
  framesSentAgain = 0
}
