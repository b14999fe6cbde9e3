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

/** The part of a stream that ends it: what its class overrides of Node's streams. */
type Held = Pick<ServerHttp2Stream, "id" | "session" | "_destroy">

interface Connection {
  readonly places: HeldPlace[]
  lastStream: number
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
      connection = { places: [], lastStream: stream.id ?? 0 }
      this.#connections.set(session, connection)
      session.once("close", () => this.#release(session, 0))
    }
    connection.places.push(new HeldPlace(stream))
    this.#count++
  }

  /**
   * To be told of every stream that comes. @returns how many HTTP/2 has refused on this connection since the one before:
   * peers number their streams without gaps
   */
  refusedBefore(stream: Held): number {
    const connection = stream.session === undefined ? undefined : this.#connections.get(stream.session)
    if (connection === undefined) return 0
    const id = stream.id ?? 0
    const count = (id - connection.lastStream) / STREAM_STEP - 1
    connection.lastStream = id
    return Math.max(0, count)
  }

  /**
   * Releases places so that each connection has as many free ones as its share.
   * @param openOf streams of a connection that are open, and will be in the next turn
   */
  fit(share: number, openOf: (connection: object) => number): void {
    for (const session of this.#connections.keys())
      this.#release(session, Math.max(0, this.#placesMax - share - openOf(session)))
  }

  releaseAll(): void {
    for (const session of this.#connections.keys()) this.#release(session, 0)
  }

  /** Of its places so many are held at most. */
  #release(session: object, heldMax: number): void {
    const connection = this.#connections.get(session)
    if (connection === undefined) return
    const released = connection.places.splice(heldMax)
    this.#count -= released.length
    if (connection.places.length === 0) this.#connections.delete(session)
    for (const place of released) place.release()
  }
}

/** Peers number their streams 1, 3, 5 … */
const STREAM_STEP = 2

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
