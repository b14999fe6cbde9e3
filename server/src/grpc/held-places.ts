// Has HTTP/2 itself refuse what a connection sends above its share. Node counts the streams of a connection until they
// are destroyed, also those that are over; what the peer opens above `limits.streamsPerConnectionMax` is refused before
// JavaScript hears of it (`RST_STREAM` with ENHANCE_YOUR_CALM, in gRPC RESOURCE_EXHAUSTED). So a stream that was refused is
// not destroyed but held: it is over, and its place is taken.
//
//   places of a connection   │ held ……………… │ open … │ free: as many as its share │ ◄─ the next one: refused by HTTP/2
//
// A refusal by hand takes 25 µs of processor time (test/bench/README.md), one by HTTP/2 no JavaScript. A stream is held only when its turn has
// done a whole share of its connection before it, so that as many places are left for the next turn.

import type { ServerHttp2Stream } from "node:http2"

/** Peers number their streams 1, 3, 5 …, and may leave numbers out. */
const STREAM_STEP = 2
/** A HEADERS frame of one byte: nobody opens a stream with less. */
const STREAM_BYTES_LEAST = 10
/** Node reads as much at once, and tells of a stream when all of it was taken: what follows a stream may have come with it. */
const READ_BYTES = 64 * 1024

/** The part of a stream that ends it: what its class overrides of Node's streams. */
type Held = Pick<ServerHttp2Stream, "id" | "session" | "_destroy">

/** A connection of which a stream has been held once; known as long as it lasts. */
interface Connection {
  readonly places: HeldPlace[]
  /** Whether one was held at any time since the last stream. */
  hasHeld: boolean
  lastStream: number
  /** That have come, and of these what refused streams may have been made of. */
  bytesRead: number
  bytesLeft: number
}

export class HeldPlaces {
  readonly #placesMax: number
  readonly #heldMax: number
  readonly #connections = new Map<object, Connection>()
  #count = 0

  /** @param placesMax streams of one connection. @param heldMax of all together: each costs some KiB of memory */
  constructor(placesMax: number, heldMax: number) {
    this.#placesMax = placesMax
    this.#heldMax = heldMax
  }

  get count(): number {
    return this.#count
  }

  /** Keeps the place of a stream that was refused, and is not destroyed yet, until it is released. */
  hold(stream: Held): void {
    const { session } = stream
    if (session === undefined || session.destroyed || this.#count >= this.#heldMax) return
    let connection = this.#connections.get(session)
    if (connection === undefined) {
      const places: HeldPlace[] = []
      connection = { places, hasHeld: false, lastStream: stream.id ?? 0, bytesRead: 0, bytesLeft: 0 }
      this.#connections.set(session, connection)
      session.once("close", () => this.#forget(session))
    }
    if (!connection.hasHeld) {
      connection.hasHeld = true
      connection.bytesRead = session.socket.bytesRead
      connection.bytesLeft = Math.min(READ_BYTES, connection.bytesRead)
    }
    connection.places.push(new HeldPlace(stream))
    this.#count++
  }

  /**
   * To be told of every stream that comes, whether places are held or not. @returns how many HTTP/2 has refused on this
   * connection since the one before, for places that were held: the numbers left out, as far as that many streams can have
   * come. The peer may have left out numbers by itself, too.
   */
  refusedBefore(stream: Held): number {
    const { session } = stream
    const connection = session === undefined ? undefined : this.#connections.get(session)
    if (session === undefined || connection === undefined || session.destroyed) return 0
    const id = stream.id ?? 0
    const leftOut = (id - connection.lastStream) / STREAM_STEP - 1
    connection.lastStream = id
    if (!connection.hasHeld) return 0
    const { bytesRead } = session.socket
    const bytes = connection.bytesLeft + bytesRead - connection.bytesRead
    const count = Math.max(0, Math.min(leftOut, Math.floor(bytes / STREAM_BYTES_LEAST)))
    connection.bytesRead = bytesRead
    connection.bytesLeft = Math.min(READ_BYTES, bytes - count * STREAM_BYTES_LEAST)
    connection.hasHeld = connection.places.length > 0
    return count
  }

  /**
   * Releases places so that each connection has as many free ones as its share.
   * @param openOf streams of a connection that are open, and will be in the next turn
   */
  fit(share: number, openOf: (connection: object) => number): void {
    for (const [session, connection] of this.#connections) {
      if (connection.places.length === 0) continue
      this.#release(connection, Math.max(0, this.#placesMax - share - openOf(session)))
    }
  }

  releaseAll(): void {
    for (const connection of this.#connections.values()) this.#release(connection, 0)
  }

  #forget(session: object): void {
    const connection = this.#connections.get(session)
    if (connection === undefined) return
    this.#connections.delete(session)
    this.#release(connection, 0)
  }

  /** Of its places so many are held at most. */
  #release({ places }: Connection, heldMax: number): void {
    const released = places.splice(heldMax)
    this.#count -= released.length
    for (const place of released) place.release()
  }
}

/** A stream whose destruction waits. */
class HeldPlace {
  #isReleased = false
  #destroy: (() => void) | undefined

  constructor(stream: Held) {
    const destroy = stream._destroy
    stream._destroy = (error, done) => {
      const finish = (): void => destroy.call(stream, error, done)
      if (this.#isReleased) finish()
      else this.#destroy = finish
    }
  }

  release(): void {
    this.#isReleased = true
    this.#destroy?.()
  }
}
