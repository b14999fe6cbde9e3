// The connection to one address: a channel, and on it the stream that frames travel on. It opens when there is
// something to send, and comes back by itself while there is.
//
//              send             described            broken
//     idle ───────────► opening ─────────► open ───────────────┐
//      ▲                   ▲  │ failed                          │
//      │ nothing to send   │  ▼                                 ▼
//      └────────────────── pausing ◄─────────────────────────────
//
// What is in the air when the stream breaks: reads are sent again; writes fail with CONNECTION_LOST, for nobody
// knows whether they were applied; what was never sent waits for the next stream. Order is kept: frames to be sent
// again stand before those not yet sent.

import { type ClientDuplexStream, Metadata, type ServiceError, status } from "@grpc/grpc-js"
import {
  type DescribeResponse,
  type PipelineRequest,
  type PipelineResponse,
  type StateBackendClient,
  StateBackendService,
  UNSEQUENCED,
  VarveError,
  varveErrorOf,
} from "@varve/proto"
import { Backoff } from "./backoff.ts"
import { openChannel } from "./channel.ts"
import { Fifo } from "./fifo.ts"
import type { Frame } from "./frame.ts"
import { encodeFrameMessage } from "./frame-message.ts"
import { CONNECT_ATTEMPT_MS, type Settings } from "./options.ts"
import { SentFrames } from "./sent-frames.ts"

/** What a connection asks of its owner. */
export interface ConnectionOwner {
  /** Asked before each stream. Throws a VarveError when the daemon cannot serve this client. */
  described(response: DescribeResponse, connection: Connection): void
  /** Nothing can be sent here until the cause is mended; frames of this connection have been failed. */
  refused(error: VarveError, connection: Connection): void
  /** Whether somebody waits for this connection without having sent a frame. */
  awaits(connection: Connection): boolean
  /** Nothing of the frame is pending any more. */
  frameDone(frame: Frame): void
  frameSplit(): void
  /** What the frame carries as its lineage; empty: none. */
  lineageOf(partition: number): string
}

/** After these the same attempt fails again: no use in trying on. */
const FATAL_CODES: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.UNIMPLEMENTED,
  status.FAILED_PRECONDITION,
])

/** Of an attempt to connect that found nobody. */
const CONNECTION_TROUBLES: ReadonlySet<string> = new Set(["CONNECTION_LOST", "DEADLINE_PASSED", "CANCELLED"])

type Stream = ClientDuplexStream<PipelineRequest, PipelineResponse>

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
  /** Frames that the daemon did not take because it goes down. */
  #returned: Frame[] = []
  #state: "idle" | "opening" | "open" | "pausing" | "closed" = "idle"
  #stream: Stream | undefined
  #blocked = false
  #pause: NodeJS.Timeout | undefined
  #lastSequence = 0
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
    const { path, responseDeserialize } = StateBackendService.pipeline
    const stream = this.channel.makeBidiStreamRequest(path, encodeFrameMessage, responseDeserialize)
    this.#stream = stream
    this.#state = "open"
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
      this.#blocked = !stream.write({
        id,
        store: this.#settings.store,
        partition: frame.lane.partition,
        work: frame.message,
        lineage: this.#owner.lineageOf(frame.lane.partition),
        ...UNSEQUENCED,
      })
    }
  }

  /** The frame is on its way under the id that comes back. */
  #register(frame: Frame): number {
    frame.sequence = ++this.#lastSequence
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
    if (result?.$case === "values") frame.answerValues(result.value)
    else if (result?.$case === "written") frame.answerWritten()
    else if (result?.$case === "error") {
      const { reason, message, code } = result.value
      if (reason === "SHUTTING_DOWN") {
        this.#takeBack(frame)
        return
      }
      if (reason === "MESSAGE_TOO_LARGE" && this.#sendHalves(frame)) return
      frame.fail(new VarveError(reason === "" ? "INTERNAL" : reason, message, { code }))
    } else frame.fail(new VarveError("INTERNAL", "the daemon answered a frame with nothing"))
    this.#owner.frameDone(frame)
    this.#endWhenDrained()
  }

  /** Nothing of the frame was applied: it goes to the daemon that comes next, after those before it. */
  #takeBack(frame: Frame): void {
    frame.sent = false
    this.#returned.push(frame)
    this.#endWhenDrained()
  }

  #endWhenDrained(): void {
    if (this.#returned.length === 0 || this.#sent.size > 0) return
    this.#stream?.cancel()
    this.#broken(new VarveError("SHUTTING_DOWN", `the daemon at ${this.address} goes down`))
  }

  /** The values of all its keys were too much for one answer. */
  #sendHalves(frame: Frame): boolean {
    const halves = frame.split()
    if (halves === undefined) return false
    this.#owner.frameSplit()
    frame.lane.frameCount++
    this.#unsent.pushFront(halves)
    this.#pump()
    return true
  }

  #broken(error: VarveError): void {
    this.#stream = undefined
    this.#lastError = error
    // A message too large for the peer ends the stream, and would end the next one too.
    const again = error.reason !== "MESSAGE_TOO_LARGE" && !FATAL_CODES.has(error.code)
    const frames = [...this.#returned, ...this.#sent.takeAll()].sort((a, b) => a.sequence - b.sequence)
    this.#returned = []
    const resend: Frame[] = []
    for (const frame of frames) {
      if (again && (frame.work === "reads" || !frame.sent)) {
        frame.sent = false
        resend.push(frame)
        continue
      }
      frame.fail(frame.work === "reads" ? error : this.#lostWrite(error))
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
    for (const frame of frames) {
      frame.fail(error)
      this.#owner.frameDone(frame)
    }
  }
}
