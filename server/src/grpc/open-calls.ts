// Calls that are open, over all connections of a shard: each costs memory as long as it stays, whatever it does. Who
// holds more than his share is refused first, so that a peer who opens calls and leaves them takes none from the rest:
//
//   calls of all   < callsMax                    taken
//   calls of all  >= callsMax, of the peer's connection
//                  < callsMax / connections      taken: others hold too much
//                 >= callsMax / connections      refused, OVERLOADED
//   calls of all  >= 2 callsMax                  refused, OVERLOADED
//
// Many connections that come one after the other have shares that are together more than any multiple of callsMax
// (1 + 1/2 + 1/3 …): hence the last line.

/**
 * What an open call costs: the stream, the call, its timer and its headers. Rounded up: `npm run bench -- attacks` leaves
 * calls open.
 */
export const CALL_BYTES = 16 * 1024

export class OpenCalls {
  readonly callsMax: number
  readonly #byConnection = new Map<object, number>()
  #count = 0

  /** @param bytesMax of all calls */
  constructor(bytesMax: number) {
    this.callsMax = Math.ceil(bytesMax / CALL_BYTES)
  }

  get count(): number {
    return this.#count
  }

  /** Calls of `connection` that are open. */
  of(connection: object): number {
    return this.#byConnection.get(connection) ?? 0
  }

  /** Counts one call more; false: it is to be refused. It counts all the same until `end`. */
  begin(connection: object): boolean {
    const own = this.of(connection)
    this.#byConnection.set(connection, own + 1)
    this.#count++
    if (this.#count <= this.callsMax) return true
    return own < this.callsMax / this.#byConnection.size && this.#count <= 2 * this.callsMax
  }

  /** One of its calls is over. */
  end(connection: object): void {
    const own = this.of(connection)
    this.#count--
    if (own > 1) this.#byConnection.set(connection, own - 1)
    else this.#byConnection.delete(connection)
  }
}
