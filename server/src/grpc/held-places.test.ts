import { deepStrictEqual, strictEqual } from "node:assert"
import { EventEmitter } from "node:events"
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2"
import { test } from "vitest"
import { HeldPlaces } from "./held-places.ts"

const PLACES = 10

class Session extends EventEmitter {
  readonly destroyed = false
  readonly socket = { bytesRead: 0 }
  /** Streams that are destroyed. */
  gone = 0

  stream(id = 1): ServerHttp2Stream {
    const stream = {
      ...{ id, session: this as unknown as ServerHttp2Session },
      _destroy: (_error: Error | null, done: () => void): void => {
        this.gone++
        done()
      },
    }
    return stream as unknown as ServerHttp2Stream
  }
}

/** Holds so many streams of `session` that are over. */
function hold(places: HeldPlaces, session: Session, count: number): void {
  for (let each = 0; each < count; each++) {
    const stream = session.stream()
    places.hold(stream)
    end(stream)
  }
}

function end(stream: ServerHttp2Stream): void {
  stream._destroy(null, () => undefined)
}

test("a stream that is held is destroyed when its place is released", () => {
  const places = new HeldPlaces(PLACES, 100)
  const session = new Session()
  hold(places, session, 3)
  deepStrictEqual([places.count, session.gone], [3, 0])
  places.releaseAll()
  deepStrictEqual([places.count, session.gone], [0, 3])
})

test("one whose place is released before it is over is destroyed when it is", () => {
  const places = new HeldPlaces(PLACES, 100)
  const session = new Session()
  const stream = session.stream()
  places.hold(stream)
  places.releaseAll()
  strictEqual(session.gone, 0)
  end(stream)
  strictEqual(session.gone, 1)
})

test("as many places as the share are left free beside those of open streams", () => {
  const places = new HeldPlaces(PLACES, 100)
  const [one, other] = [new Session(), new Session()]
  hold(places, one, 8)
  hold(places, other, 8)
  places.fit(2, (connection) => (connection === one ? 3 : 0))
  deepStrictEqual([places.count, one.gone, other.gone], [13, 3, 0])
  places.fit(PLACES + 1, () => 0)
  deepStrictEqual([places.count, one.gone, other.gone], [0, 8, 8])
})

test("all places of a connection are released when it closes, and none is held any more", () => {
  const places = new HeldPlaces(PLACES, 100)
  const [one, other] = [new Session(), new Session()]
  hold(places, one, 2)
  hold(places, other, 2)
  one.emit("close")
  deepStrictEqual([places.count, one.gone, other.gone], [2, 2, 0])
  hold(places, Object.assign(one, { destroyed: true }), 1)
  deepStrictEqual([places.count, one.gone], [2, 3])
})

test("no more streams are held than may be, of all connections together", () => {
  const places = new HeldPlaces(PLACES, 4)
  const [one, other] = [new Session(), new Session()]
  hold(places, one, 3)
  hold(places, other, 3)
  deepStrictEqual([places.count, one.gone, other.gone], [4, 0, 2])
})

test("one listener is enough for a connection, however often its places are held and released", () => {
  const places = new HeldPlaces(PLACES, 100)
  const session = new Session()
  for (let round = 0; round < 20; round++) {
    hold(places, session, 2)
    places.releaseAll()
    strictEqual(session.listenerCount("close"), 1)
  }
  strictEqual(session.gone, 40)
})

/** Streams of these numbers come, each after so many bytes of the connection. @returns what was refused before each */
function refusedBefore(
  places: HeldPlaces,
  session: Session,
  bytesEach: number,
  ids: readonly number[],
): number[] {
  return ids.map((id) => {
    session.socket.bytesRead += bytesEach
    return places.refusedBefore(session.stream(id))
  })
}

test("what HTTP/2 has refused shows as gaps in the numbers of streams, from the first place that is held", () => {
  const places = new HeldPlaces(PLACES, 100)
  const session = new Session()
  deepStrictEqual(refusedBefore(places, session, 1000, [21, 101]), [0, 0])
  places.hold(session.stream(101))
  deepStrictEqual(refusedBefore(places, session, 1000, [103, 105, 127, 129]), [0, 0, 10, 0])
  deepStrictEqual(refusedBefore(places, new Session(), 1000, [501]), [0])
})

test("refused streams count also when their connection's places are free again at the next one, and none after it", () => {
  const places = new HeldPlaces(PLACES, 100)
  const session = new Session()
  hold(places, session, 3)
  places.releaseAll()
  deepStrictEqual(refusedBefore(places, session, 1000, [21, 41]), [9, 0])
  places.hold(session.stream(41))
  deepStrictEqual(refusedBefore(places, session, 1000, [61]), [9])
})

test("a peer that leaves out numbers is believed no more streams than its bytes can have been", () => {
  const places = new HeldPlaces(PLACES, 100)
  const session = new Session()
  session.socket.bytesRead = 2 ** 40
  hold(places, session, 1)
  // What came before may have been one read.
  const [first, ...others] = refusedBefore(places, session, 1000, [1e9 + 1, 1.5e9 + 1, 2e9 + 1])
  strictEqual(first, Math.floor((65_536 + 1000) / 10))
  deepStrictEqual(others, [100, 100])
  // Bytes of which nothing was made, such as those of frames, are soon forgotten.
  session.socket.bytesRead += 2 ** 30
  strictEqual(places.refusedBefore(session.stream(2e9 + 3)), 0)
  deepStrictEqual(refusedBefore(places, session, 1000, [2.1e9 + 1]), [first])
})
