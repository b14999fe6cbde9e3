// A proxy between a client and a daemon that treats frames of the pipeline badly: it cuts streams before and behind a
// frame, holds frames back so that others overtake them, sends copies of them at once and much later, and delays answers.
// What it does is drawn from a seed; when it does it, the machine decides.
//
// A copy goes under an id that no client uses, and its answer ends here.

import {
  type ClientDuplexStream,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js"
import {
  type DescribeRequest,
  type DescribeResponse,
  type PipelineRequest,
  type PipelineResponse,
  StateBackendClient,
  StateBackendService,
} from "@varve/proto"
import { seededRandom } from "../bench/random.ts"

/** Ids of clients have a generation of at least 1 in their upper 8 bits. */
const COPY_IDS = 1 << 24
/** Old frames that copies are made of. */
const FRAMES_KEPT = 256
const DELAY_MS_MAX = 4

export interface ProxyCounts {
  frames: number
  cuts: number
  copies: number
  reorders: number
  delays: number
  /** Frames that the client sent again. */
  resends: number
}

type Downstream = ServerDuplexStream<PipelineRequest, PipelineResponse>
type Upstream = ClientDuplexStream<PipelineRequest, PipelineResponse>

export class FrameProxy {
  readonly counts: ProxyCounts = { frames: 0, cuts: 0, copies: 0, reorders: 0, delays: 0, resends: 0 }
  address = ""
  /** While false, frames pass as they are. */
  isBad = true
  readonly #server = new Server()
  readonly #random: (bound: number) => number
  readonly #old: PipelineRequest[] = []
  #daemon: StateBackendClient
  #lastCopy = 0

  constructor(daemonAddress: string, seed: number) {
    this.#random = seededRandom(seed)
    this.#daemon = channelTo(daemonAddress)
  }

  /** Streams that come from now on go there. */
  set daemon(address: string) {
    this.#daemon.close()
    this.#daemon = channelTo(address)
  }

  async start(): Promise<void> {
    this.#server.addService(
      { pipeline: StateBackendService.pipeline, describe: StateBackendService.describe },
      {
        pipeline: (stream: Downstream) => this.#carry(stream),
        describe: (
          { request }: ServerUnaryCall<DescribeRequest, DescribeResponse>,
          callback: sendUnaryData<DescribeResponse>,
        ) => this.#describe(request, callback),
      },
    )
    const port = await new Promise<number>((resolve, reject) => {
      const credentialsHere = ServerCredentials.createInsecure()
      this.#server.bindAsync("127.0.0.1:0", credentialsHere, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      )
    })
    this.address = `127.0.0.1:${port}`
  }

  close(): void {
    this.#server.forceShutdown()
    this.#daemon.close()
  }

  #describe(request: DescribeRequest, callback: sendUnaryData<DescribeResponse>): void {
    this.#daemon.describe(request, new Metadata(), { deadline: Date.now() + 2000 }, (error, response) => {
      if (error !== null) callback(error)
      else {
        // All frames come here.
        for (const { partitions } of response.stores)
          for (const each of partitions) each.address = this.address
        callback(null, response)
      }
    })
  }

  #carry(downstream: Downstream): void {
    const upstream: Upstream = this.#daemon.pipeline()
    let isOver = false
    const timers = new Set<NodeJS.Timeout>()
    const cut = (): void => {
      if (isOver) return
      isOver = true
      for (const timer of timers) clearTimeout(timer)
      upstream.cancel()
      downstream.emit("error", { code: status.UNAVAILABLE, details: "cut" })
    }
    const send = (frame: PipelineRequest): void => {
      if (!isOver) upstream.write(frame)
    }
    let held: PipelineRequest | undefined
    downstream.on("data", (frame: PipelineRequest) => {
      if (isOver) return
      this.counts.frames++
      if (frame.resent) this.counts.resends++
      if (!this.isBad) {
        send(frame)
        return
      }
      if (this.#oneIn(200)) {
        this.counts.cuts++
        if (this.#oneIn(2)) send(frame)
        cut()
        return
      }
      // Reads keep their place behind what was sent before them, as a stream keeps it.
      if (held === undefined && frame.session.length > 0 && this.#oneIn(40)) {
        this.counts.reorders++
        held = frame
        const timer = setTimeout(() => {
          timers.delete(timer)
          if (held !== frame) return
          held = undefined
          send(frame)
        }, DELAY_MS_MAX)
        timers.add(timer)
        return
      }
      send(frame)
      if (held !== undefined) {
        send(held)
        held = undefined
      }
      if (this.#oneIn(30)) this.#sendCopy(frame, send)
      if (this.#oneIn(30))
        this.#sendCopy(this.#old[this.#random(Math.max(1, this.#old.length))] ?? frame, send)
      this.#keep(frame)
    })
    // Answers keep their order.
    let last = Promise.resolve()
    upstream.on("data", (response: PipelineResponse) => {
      if (response.id < COPY_IDS) return
      const isLate = this.isBad && this.#oneIn(40)
      if (isLate) this.counts.delays++
      last = last.then(async () => {
        if (isLate) {
          await new Promise<void>((resolve) => {
            const timer = setTimeout(() => {
              timers.delete(timer)
              resolve()
            }, this.#random(DELAY_MS_MAX))
            timers.add(timer)
          })
        }
        if (isOver) return
        if (this.isBad && this.#oneIn(250)) {
          this.counts.cuts++
          cut()
        } else downstream.write(response)
      })
    })
    upstream.on("error", cut)
    upstream.on("status", cut)
    downstream.on("cancelled", cut)
    downstream.on("error", cut)
    downstream.on("end", () => upstream.end())
  }

  #sendCopy(frame: PipelineRequest, send: (frame: PipelineRequest) => void): void {
    this.counts.copies++
    this.#lastCopy = (this.#lastCopy % (COPY_IDS - 1)) + 1
    send({ ...frame, id: this.#lastCopy })
  }

  #keep(frame: PipelineRequest): void {
    if (frame.session.length === 0) return
    if (this.#old.length < FRAMES_KEPT) this.#old.push(frame)
    else this.#old[this.#random(FRAMES_KEPT)] = frame
  }

  #oneIn(count: number): boolean {
    return this.#random(count) === 0
  }
}

function channelTo(address: string): StateBackendClient {
  // A channel of its own, not one that others share: it is closed when the daemon moves.
  return new StateBackendClient(address, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": -1,
    "grpc.initial_reconnect_backoff_ms": 20,
    "grpc.min_reconnect_backoff_ms": 20,
    "grpc.max_reconnect_backoff_ms": 100,
  })
}
