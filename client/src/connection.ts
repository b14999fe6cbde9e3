// The connection to one address: a channel, and on it the stream that frames travel on. It opens when there is
// something to send, and comes back by itself while there is.
//
//              send             described            broken
//     idle ───────────► opening ─────────► open ───────────────┐
//      ▲                   ▲  │ failed                          │
//      │ nothing to send   │  ▼                                 ▼
//      └────────────────── pausing ◄─────────────────────────────
//
// What is in the air when the stream breaks is sent again: reads, and writes that have a number in the session, which the
// daemon applies once. Without a session writes fail with CONNECTION_LOST, for nobody knows whether they were applied. What
// was never sent waits for the next stream. Order is kept: frames to be sent again stand before those not yet sent.
//
// So does a frame that the daemon gives back. From then on nothing is sent until all that is on its way was answered;
// then those given back go first: on the same stream when one of them was only out of order, otherwise on a new one.

import { type ClientDuplexStream, Metadata, type ServiceError } from "@grpc/grpc-js"
import {
  decodeAnswerMessage,
  type PipelineResponse,
  type StateBackendClient,
  StateBackendService,
  VarveError,
  varveErrorOf,
} from "@varve/proto"
import { Backoff } from "./backoff.ts"
import { openChannel } from "./channel.ts"
import type { ConnectionOwner } from "./connection-owner.ts"
import { Fifo } from "./fifo.ts"
import type { Frame } from "./frame.ts"
import { encodeFrameMessage } from "./frame-message.ts"
import type { Lane } from "./lane.ts"
import { CONNECT_ATTEMPT_MS, type Settings } from "./options.ts"
import { FATAL_CODES, LEFT_IN_DOUBT, SENT_AGAIN, toldError } from "./sent-again.ts"
import { SentFrames } from "./sent-frames.ts"

/** Of an attempt to connect that found nobody. */
const CONNECTION_TROUBLES: ReadonlySet<string> = new Set(["CONNECTION_LOST", "DEADLINE_PASSED", "CANCELLED"])

type Stream = ClientDuplexStream<Buffer, PipelineResponse>

export class Connection {
  readonly address: string
  readonly channel: StateBackendClient
  /** Called once, when a call beside the stream may be made; it tries on while there are any. */
  readonly waiters = new Set<() => void>()
  readonly #settings: Settings
  readonly #owner: ConnectionOwner
  readonly #backoff: Backoff
  readonly #unsent = new Fifo<Frame>()
  readonly #sent = new SentFrames()
  /** Frames that the daemon gave back. */
  #returned: Frame[] = []
  /** Why they go over another stream; undefined: they were only out of order. */
  #leaving: VarveError | undefined
  #state: "idle" | "opening" | "open" | "pausing" | "closed" = "idle"
  #stream: Stream | undefined
  #blocked = false
  #isAsking = false
  #pause: NodeJS.Timeout | undefined
  #lastOrder = 0
  #lastError: VarveError | undefined

  constructor(address: string, settings: Settings, owner: ConnectionOwner) {
    this.address = address
    this.channel = openChannel(address)
    this.#settings = settings
    this.#owner = owner
    this.#backoff = new Backoff(settings.backoffFirstMs, settings.backoffMaxMs)
  }

  /** Why it is not connected; `undefined` when it is, or has not been tried. */
  get trouble(): VarveError | undefined {
    return this.#state === "open" ? undefined : this.#lastError
  }

  get isOpen(): boolean {
    return this.#state === "open"
  }

  /** Frames that it has taken and not given back yet. */
  get frameCount(): number {
    return this.#sent.size + this.#returned.length + this.#unsent.length
  }

  /** Takes a frame. Frames are sent in the order in which they come. */
  send(frame: Frame): void {
    this.#unsent.push(frame)
    if (this.#state === "open") this.#pump()
    else this.connect()
  }

  /** Opens the stream if nothing is under way. */
  connect(): void {
    if (this.#state !== "idle") return
    this.#state = "opening"
    this.#describe()
  }

  /** Asks anew where partitions are. */
  askAgain(): void {
    if (this.#state === "idle") this.connect()
    if (this.#state !== "open" || this.#isAsking) return
    this.#isAsking = true
    const deadline = Date.now() + CONNECT_ATTEMPT_MS
    const request = { store: this.#settings.store }
    this.channel.describe(request, new Metadata(), { deadline }, (error, response) => {
      this.#isAsking = false
      if (this.#state !== "open") return
      try {
        if (error !== null) throw error
        this.#owner.described(response, this)
      } catch (refusal) {
        // Whoever wanted to know asks again.
        this.#lastError = refusal instanceof VarveError ? refusal : varveErrorOf(refusal as ServiceError)
      }
    })
  }

  /** Takes the lane's frames from a connection that is not open. */
  release(lane: Lane): Frame[] {
    const frames: Frame[] = []
    this.#unsent.filter((frame) => {
      if (frame.lane !== lane) return true
      frames.push(frame)
      return false
    })
    return frames
  }

  /** Gives up unsent frames none of whose calls is pending. Called after calls were given up. */
  dropGivenUp(): void {
    this.#unsent.filter((frame) => {
      if (frame.givenUpCount === 0 || frame.prune()) return true
      this.#owner.frameDone(frame)
      return false
    })
  }

  forEachFrame(visit: (frame: Frame) => void): void {
    this.#sent.inOrder().forEach(visit)
    for (const frame of this.#returned) visit(frame)
    this.#unsent.forEach(visit)
  }

  /** Fails what is pending and frees the connection. */
  close(error: VarveError): void {
    if (this.#state === "closed") return
    this.#state = "closed"
    clearTimeout(this.#pause)
    const stream = this.#stream
    this.#stream = undefined
    stream?.cancel()
    this.#failAll(error)
    this.channel.close()
  }

  #describe(): void {
    const deadline = Date.now() + CONNECT_ATTEMPT_MS
    this.channel.describe(
      { store: this.#settings.store },
      new Metadata(),
      { deadline },
      (error, response) => {
        if (this.#state !== "opening") return
        if (error !== null) {
          const told = varveErrorOf(error)
          this.#notOpened(told)
          // A daemon that refuses has something to tell those who wait, too.
          if (!CONNECTION_TROUBLES.has(told.reason)) this.#wakeWaiters()
          return
        }
        try {
          this.#owner.described(response, this)
        } catch (refusal) {
          return this.#notOpened(
            refusal instanceof VarveError
              ? refusal
              : new VarveError("INTERNAL", String(refusal), { cause: refusal }),
          )
        }
        // The owner may have sent frames, or closed this connection.
        if (this.#state === "opening") this.#openStream()
      },
    )
  }

  #wakeWaiters(): void {
    const waiters = [...this.waiters]
    this.waiters.clear()
    for (const wake of waiters) wake()
  }

  #openStream(): void {
    const { path } = StateBackendService.pipeline
    const stream = this.channel.makeBidiStreamRequest(path, (message: Buffer) => message, decodeAnswerMessage)
    this.#stream = stream
    this.#state = "open"
    this.#owner.counts.opened++
    this.#wakeWaiters()
    this.#blocked = false
    stream.on("data", (response: PipelineResponse) => {
      if (this.#stream === stream) this.#answer(response)
    })
    stream.on("drain", () => {
      if (this.#stream !== stream) return
      this.#blocked = false
      this.#pump()
    })
    stream.on("error", (error: ServiceError) => {
      if (this.#stream === stream) this.#broken(varveErrorOf(error))
    })
    // A status that is not OK comes as an error before.
    stream.on("status", () => {
      if (this.#stream === stream)
        this.#broken(new VarveError("CONNECTION_LOST", "the daemon ended the stream"))
    })
    this.#pump()
  }

  #pump(): void {
    const stream = this.#stream
    if (stream === undefined) return
    while (!this.#blocked && this.#returned.length === 0) {
      const frame = this.#unsent.shift()
      if (frame === undefined) return
      if (!frame.prune()) {
        this.#owner.frameDone(frame)
        continue
      }
      const id = this.#register(frame)
      // Encoded now, not when gRPC has taken what it holds before: a stream that broke may hold messages for longer than the
      // frame's buffer is theirs.
      const message = encodeFrameMessage({
        id,
        store: this.#settings.store,
        partition: frame.lane.partition,
        work: frame.message,
        lineage: this.#owner.lineageOf(frame.lane.partition),
        place: this.#owner.placeOf(frame),
        hasHeadroom: frame.hasHeadroom,
      })
      this.#blocked = !stream.write(message)
    }
  }

  /** The frame is on its way under the id that comes back. */
  #register(frame: Frame): number {
    this.#owner.counts.framesSent++
    if (frame.order > 0) this.#owner.counts.framesSentAgain++
    frame.order = ++this.#lastOrder
    frame.sent = true
    return this.#sent.add(frame)
  }

  #answer({ id, result }: PipelineResponse): void {
    const frame = this.#sent.take(id)
    if (frame === undefined) {
      this.#stream?.cancel()
      this.#broken(new VarveError("INTERNAL", `the daemon answered frame ${id}, which was not sent`))
      return
    }
    this.#backoff.reset()
    this.#lastError = undefined
    // Reads behind a frame that was given back are read again behind it.
    if (
      this.#returned.length > 0 &&
      !frame.hasWrites &&
      this.#returned.some(({ lane }) => lane === frame.lane)
    ) {
      this.#takeBack(frame)
      return
    }
    if (result?.$case === "operations") {
      const unread = frame.answerOperations(result.value)
      if (unread !== undefined) this.#readAgain(unread)
    } else if (result?.$case === "written") frame.answerWritten()
    else if (result?.$case === "error") {
      const { reason, message } = result.value
      if (reason === "SHUTTING_DOWN" || (frame.sequence > 0 && SENT_AGAIN.has(reason))) {
        if (reason !== "FRAME_OUT_OF_ORDER") this.#leaving ??= this.#leavingFor(reason, message)
        if (LEFT_IN_DOUBT.has(reason)) frame.mayBeApplied = true
        this.#takeBack(frame)
        return
      }
      frame.fail(toldError(result.value, frame.mayBeApplied), toldError(result.value, false))
    } else frame.fail(new VarveError("INTERNAL", "the daemon answered a frame with nothing"))
    this.#owner.frameDone(frame)
    this.#endWhenDrained()
  }

  #leavingFor(reason: string, message: string): VarveError {
    return reason === "SHUTTING_DOWN"
      ? new VarveError(reason, `the daemon at ${this.address} goes down`)
      : new VarveError(reason, message)
  }

  /** The frame is sent again, after those before it. */
  #takeBack(frame: Frame): void {
    frame.sent = false
    this.#returned.push(frame)
    this.#endWhenDrained()
  }

  #endWhenDrained(): void {
    if (this.#returned.length === 0 || this.#sent.size > 0) return
    const cause = this.#leaving
    if (cause === undefined) {
      this.#unsent.pushFront(this.#returned.splice(0).sort((a, b) => a.order - b.order))
      this.#pump()
      return
    }
    this.#stream?.cancel()
    this.#broken(cause)
  }

  /** The answer had no room for the values of these reads. */
  #readAgain(frame: Frame): void {
    this.#owner.frameSplit()
    frame.lane.frameCount++
    this.#unsent.pushFront([frame])
    this.#pump()
  }

  #broken(error: VarveError): void {
    this.#owner.counts.lost++
    this.#stream = undefined
    this.#lastError = error
    // A message too large for the peer ends the stream, and would end the next one too.
    const again = error.reason !== "MESSAGE_TOO_LARGE" && !FATAL_CODES.has(error.code)
    const frames = [...this.#returned, ...this.#sent.takeAll()].sort((a, b) => a.order - b.order)
    this.#returned = []
    this.#leaving = undefined
    const resend: Frame[] = []
    for (const frame of frames) {
      if (again && frame.sent && frame.sequence > 0) frame.mayBeApplied = true
      if (
        again &&
        (!frame.sent || frame.sequence > 0 || !frame.hasWrites || frame.loseWrites(this.#lostWrite(error)))
      ) {
        frame.sent = false
        resend.push(frame)
        continue
      }
      frame.fail(frame.hasWrites && frame.isFateUnknown ? this.#lostWrite(error) : error, error)
      this.#owner.frameDone(frame)
    }
    this.#unsent.pushFront(resend)
    this.#notOpened(error)
  }

  #lostWrite(error: VarveError): VarveError {
    return new VarveError(
      "CONNECTION_LOST",
      `the connection to ${this.address} broke before the answer: the write may or may not have been applied (${error.message})`,
      { cause: error },
    )
  }

  /** Pauses and tries again while somebody waits; gives up when trying again is of no use. */
  #notOpened(error: VarveError): void {
    this.#lastError = error
    if (FATAL_CODES.has(error.code)) {
      this.#state = "idle"
      this.#failAll(error)
      this.#owner.refused(error, this)
      return
    }
    this.#state = "pausing"
    this.#owner.unreachable(this)
    this.#pause = setTimeout(() => {
      this.#pause = undefined
      this.#state = "idle"
      const isWanted = this.#unsent.length > 0 || this.waiters.size > 0 || this.#owner.awaits(this)
      if (isWanted) this.connect()
    }, this.#backoff.next())
  }

  #failAll(error: VarveError): void {
    const frames = [...this.#sent.takeAll(), ...this.#returned, ...this.#unsent.takeAll()]
    this.#returned = []
    const isClosing = this.#state === "closed"
    for (const frame of frames) {
      frame.fail(frame.mayBeApplied && !isClosing ? this.#lostWrite(error) : error, error)
      this.#owner.frameDone(frame)
    }
  }
}
