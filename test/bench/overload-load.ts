// A client of the `overload` suite: calls at a fixed rate, whatever becomes of those before, or as many as are answered
// with a fixed number on the way. Unary calls go over several connections, frames over one pipeline.

import { credentials, type ServiceError, status } from "@grpc/grpc-js"
import { encodeKeys, type PipelineResponse, StateBackendClient, UNSEQUENCED } from "@varve/proto"
import { serveParent } from "./child-contender.ts"

export interface LoadRound {
  readonly form: "unary" | "pipeline"
  /** Calls or frames a second; 0: `ON_THE_WAY` of them at any time. */
  readonly rate: number
  readonly seconds: number
}

export interface LoadFigures {
  readonly offered: number
  /** Answered within `DEADLINE_MS`. */
  readonly answered: number
  /** Refused with RESOURCE_EXHAUSTED. */
  readonly refused: number
  /** Without an answer within `DEADLINE_MS`. */
  readonly late: number
  /** Of those answered. */
  readonly p99Ms: number
  readonly seconds: number
}

export const KEYS_PER_FRAME = 64
export const DEADLINE_MS = 1000
const ON_THE_WAY = 256
const CONNECTIONS = 8
/** Calls begun in one turn: the client reads its answers in between. */
const BURST_MAX = 64

const key = Buffer.from("key-of-16-bytes.")
const work = { $case: "reads" as const, value: encodeKeys(new Array(KEYS_PER_FRAME).fill(key)) }
const address = process.argv[2]!

class Round {
  readonly #times: number[] = []
  offered = 0
  refused = 0
  late = 0

  settle(startedMs: number, code: number): void {
    const ms = performance.now() - startedMs
    if (code === status.RESOURCE_EXHAUSTED) this.refused++
    else if (code === status.OK && ms <= DEADLINE_MS) this.#times.push(ms)
    else this.late++
  }

  get settled(): number {
    return this.#times.length + this.refused + this.late
  }

  figures(seconds: number): LoadFigures {
    const times = this.#times.sort((a, b) => a - b)
    return {
      offered: this.offered,
      answered: times.length,
      refused: this.refused,
      late: this.offered - times.length - this.refused,
      p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.NaN,
      seconds,
    }
  }
}

const stubs = Array.from({ length: CONNECTIONS }, () => {
  const options = { "grpc.use_local_subchannel_pool": 1, "grpc.enable_http_proxy": 0 }
  return new StateBackendClient(address, credentials.createInsecure(), options)
})

/** How a call begins and where it ends, in either form. */
function caller(form: LoadRound["form"], round: Round): { begin(): void; end(): void } {
  if (form === "unary") {
    const begin = (): void => {
      const startedMs = performance.now()
      const stub = stubs[round.offered % CONNECTIONS]!
      const options = { deadline: Date.now() + DEADLINE_MS }
      const told = (error: ServiceError | null): void => round.settle(startedMs, error?.code ?? status.OK)
      stub.get({ store: "", key, partition: undefined }, options as never, told as never)
    }
    return { begin, end: () => undefined }
  }
  const call = stubs[0]!.pipeline()
  const started = new Map<number, number>()
  call.on("error", () => undefined)
  call.on("data", ({ id, result }: PipelineResponse) => {
    const startedMs = started.get(id)!
    started.delete(id)
    round.settle(startedMs, result?.$case === "error" ? result.value.code : status.OK)
  })
  const begin = (): void => {
    const id = round.offered
    started.set(id, performance.now())
    call.write({ id, store: "", partition: 0, lineage: "", ...UNSEQUENCED, work })
  }
  return { begin, end: () => call.cancel() }
}

async function measure({ form, rate, seconds }: LoadRound): Promise<LoadFigures> {
  const round = new Round()
  const { begin, end } = caller(form, round)
  const startedMs = performance.now()
  const elapsed = (): number => (performance.now() - startedMs) / 1000
  while (elapsed() < seconds) {
    const due = rate === 0 ? round.settled + ON_THE_WAY : Math.floor(elapsed() * rate)
    for (let burst = 0; burst < BURST_MAX && round.offered < due; burst++) {
      begin()
      round.offered++
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  const figures = round.figures(elapsed())
  end()
  return figures
}

serveParent({
  prepare: async () => undefined,
  measure: (asked) => measure(JSON.parse(asked) as LoadRound),
  close: async () => {
    for (const stub of stubs) stub.close()
  },
})
