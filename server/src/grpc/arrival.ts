// What of a call's messages has come and is not taken yet: pieces of a message, whole messages that wait to be read,
// and the request of a unary call whose end has not come. All of it counts, so that many calls together stay within
// a limit; what does not go on is given up.
//
//   unary    start ── pieces ── whole ── end of the client's side │ handler
//   stream             pieces ── whole ── read │
//            counted ─────────────────────────►│
//
// A peer has `waitMs`, and as much again for each MiB that came. The bound is on the way from the first byte to the
// last: a stream on which nothing begins may stay as it is. It is not on what the daemon itself does not read.
//
// When more than the limit is arriving, a connection that has more than its share of it is refused: the limit by the
// connections of which something arrives. So one that fills it takes nothing from others; but shares of many
// connections that came one after the other are more than the limit together (1 + 1/2 + 1/3 …), so that they all end
// at a quarter above it.

import type { Inflight } from "./inflight.ts"
import { type Looks, looksAllowed } from "./looks.ts"

/** What a piece of a message costs besides its bytes: a peer may send it byte by byte. */
const PIECE_OVERHEAD_BYTES = 128
/** What a message that waits costs besides its bytes: it is decoded already, and five bytes are a message. */
const MESSAGE_OVERHEAD_BYTES = 512
/** Part of the limit that there is besides it for connections with less than their share. */
const ABOVE_LIMIT = 0.25

/** The part of grpc-js that puts messages together; its types keep it private. */
export interface MessageDecoder {
  write(bytes: Buffer): Buffer[]
  readonly readMessageRemaining: number
  readPartialMessage: Buffer[]
}

/** Why what was arriving is given up. */
export type ArrivalRefusal = "full" | "slow"

/** What of one connection is arriving. */
interface Share {
  bytes: number
}

/** Calls of which something is arriving, looked at together. */
export class Arrivals {
  /** Bytes of all. Their own limit, so that they do not hold up whole requests. */
  readonly inflight: Inflight
  readonly looks: Looks
  readonly #underWay = new Set<Arrival>()
  readonly #shares = new WeakMap<object, Share>()
  /** Connections of which something is arriving. */
  #connectionCount = 0

  constructor(inflight: Inflight, looks: Looks) {
    this.inflight = inflight
    this.looks = looks
    looks.watch(() => {
      for (const arrival of this.#underWay) arrival.checkPace()
    })
  }

  add(arrival: Arrival): void {
    this.#underWay.add(arrival)
  }

  delete(arrival: Arrival): void {
    this.#underWay.delete(arrival)
  }

  shareOf(connection: object): Share {
    let share = this.#shares.get(connection)
    if (share === undefined) {
      share = { bytes: 0 }
      this.#shares.set(connection, share)
    }
    return share
  }

  /** So many bytes more are arriving, or fewer. */
  count(share: Share, bytes: number): void {
    if (bytes === 0) return
    if (share.bytes === 0) this.#connectionCount++
    share.bytes += bytes
    if (share.bytes === 0) this.#connectionCount--
    this.inflight.add(bytes)
  }

  /** Whether nothing more of this connection is to be taken. */
  isFullFor(share: Share): boolean {
    const { bytes, bytesMax } = this.inflight
    if (bytes <= bytesMax) return false
    return share.bytes > bytesMax / this.#connectionCount || bytes > (1 + ABOVE_LIMIT) * bytesMax
  }
}

export class Arrival {
  readonly #all: Arrivals
  readonly #share: Share
  readonly #decoder: MessageDecoder
  readonly #isUnary: boolean
  readonly #refuse: (why: ArrivalRefusal) => void
  /** Looks when it began. */
  #firstLook = 0
  /** Of the message that is not whole, and of the whole ones before it. */
  #pieceBytes = 0
  #messageBytes = 0
  #messageCount = 0
  #counted = 0
  #isOver = false

  constructor(
    all: Arrivals,
    connection: object,
    decoder: MessageDecoder,
    isUnary: boolean,
    refuse: (why: ArrivalRefusal) => void,
  ) {
    this.#all = all
    this.#share = all.shareOf(connection)
    this.#decoder = decoder
    this.#isUnary = isUnary
    this.#refuse = refuse
    const write = decoder.write.bind(decoder)
    decoder.write = (bytes) => this.#write(bytes, write)
    if (isUnary) this.#begin()
  }

  /** A message of a stream has been read. */
  read(): void {
    if (this.#isUnary || this.#messageCount === 0) return
    this.#messageBytes -= Math.floor(this.#messageBytes / this.#messageCount)
    this.#messageCount--
    this.#count()
  }

  /** Nothing more is waited for: the client's side has ended, or the call. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#drop()
  }

  /** The daemon reads no more of a stream: nothing is late until `resume`. */
  pause(): void {
    this.#all.delete(this)
  }

  /** It reads again. */
  resume(): void {
    if (!this.#isOver && this.#pieceBytes > 0) this.#begin()
  }

  /** Gives up what is too slow. */
  checkPace(): void {
    const allowed = looksAllowed(this.#pieceBytes + this.#messageBytes)
    if (this.#all.looks.count - this.#firstLook > allowed) this.#give("slow")
  }

  #write(bytes: Buffer, write: (bytes: Buffer) => Buffer[]): Buffer[] {
    if (this.#isOver) return []
    const messages = write(bytes)
    // The second one is enough for the call to be refused.
    if (this.#isUnary) messages.length = Math.min(messages.length, 2 - this.#messageCount)
    for (const message of messages) this.#messageBytes += message.length + MESSAGE_OVERHEAD_BYTES
    this.#messageCount += messages.length
    if (messages.length > 0) this.#pieceBytes = 0
    if (this.#decoder.readMessageRemaining > 0) {
      if (this.#pieceBytes === 0 && !this.#isUnary) this.#begin()
      this.#pieceBytes += bytes.length + PIECE_OVERHEAD_BYTES
    } else {
      this.#pieceBytes = 0
      if (!this.#isUnary) this.#all.delete(this)
    }
    this.#count()
    if (this.#all.isFullFor(this.#share)) this.#give("full")
    return this.#isOver ? [] : messages
  }

  #begin(): void {
    this.#firstLook = this.#all.looks.count
    this.#all.add(this)
  }

  #give(why: ArrivalRefusal): void {
    this.#isOver = true
    this.#decoder.readPartialMessage = []
    this.#drop()
    this.#refuse(why)
  }

  #drop(): void {
    this.#pieceBytes = 0
    this.#messageBytes = 0
    this.#messageCount = 0
    this.#all.delete(this)
    this.#count()
  }

  #count(): void {
    const bytes = this.#pieceBytes + this.#messageBytes
    this.#all.count(this.#share, bytes - this.#counted)
    this.#counted = bytes
  }
}
