// A client of the `overload` suite: requests at a fixed rate, whatever becomes of those before, or as many as are
// answered with a fixed number on the way. It waits for no answer longer than a deadline, and sends nothing late.

import { status } from "@grpc/grpc-js"
import {
  encodeKeys,
  GetManyRequest,
  GetRequest,
  PipelineRequest,
  PipelineResponse,
  UNSEQUENCED,
} from "@varve/proto"
import { type LoadConnection, PipelineConnection, UnaryConnection } from "../server/load-connection.ts"
import { frameOf } from "../server/raw-http2.ts"
import { serveParent } from "./child-contender.ts"

export type LoadForm = "get" | "getMany" | "pipeline"

export interface LoadRound {
  /** Calls on one key, calls on `KEYS_TOGETHER`, frames of a pipeline on as many. */
  readonly form: LoadForm
  /** Calls or frames a second; 0: `ON_THE_WAY` of them at any time. */
  readonly rate: number
  readonly seconds: number
}

export interface LoadFigures {
  readonly offered: number
  /** Answered within `DEADLINE_MS`. */
  readonly answered: number
  /** Refused with RESOURCE_EXHAUSTED, in that time; frames, by the client itself. */
  readonly refused: number
  /** Ended in another way. */
  readonly failed: number
  /** Without an answer within `DEADLINE_MS`. */
  readonly late: number
  /** Of those answered. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly seconds: number
  /** Of this process: how much of a core the client took. */
  readonly cores: number
}

const KEYS_TOGETHER = 64
const DEADLINE_MS = 1000
const ON_THE_WAY = 256
const CONNECTIONS = 16
/**
 * Frames that may wait for room in a pipeline, after which the client refuses further ones itself, as that of this project
 * does. A call that waits for room costs the daemon nothing.
 */
const FRAMES_WAITING_MAX = 256

const key = Buffer.from("key-of-16-bytes.")
const address = process.argv[2]!

const keys = new Array<Buffer>(KEYS_TOGETHER).fill(key)
const toOne = { store: "", partition: undefined }
const get = frameOf(Buffer.from(GetRequest.encode({ ...toOne, key }).finish()), 0)
const getMany = frameOf(Buffer.from(GetManyRequest.encode({ ...toOne, keys }).finish()), 0)
const work = { $case: "reads" as const, value: encodeKeys(keys) }
const frame = (id: number): Buffer => {
  const message = { id, store: "", partition: 0, lineage: "", ...UNSEQUENCED, work }
  return frameOf(Buffer.from(PipelineRequest.encode(message).finish()), 0)
}
const codeOf = (answer: Buffer): { id: number; code: number } => {
  const { id, result } = PipelineResponse.decode(answer)
  return { id, code: result?.$case === "error" ? result.value.code : status.OK }
}

interface Request {
  readonly dueMs: number
  readonly connection: LoadConnection
}

class Round {
  readonly #isPipeline: boolean
  readonly #connect: () => LoadConnection
  readonly #connections: LoadConnection[]
  /** On the way, oldest first. */
  readonly #sent = new Map<number, Request>()
  /** Without room yet, oldest first, of each connection. */
  readonly #waiting: { id: number; dueMs: number }[][]
  readonly #times: number[] = []
  #offered = 0
  #refused = 0
  #failed = 0

  constructor(form: LoadForm) {
    const told = (id: number, code: number): void => this.#settle(id, code)
    this.#isPipeline = form === "pipeline"
    this.#connect = () =>
      form === "get"
        ? new UnaryConnection(address, "Get", get, told)
        : form === "getMany"
          ? new UnaryConnection(address, "GetMany", getMany, told)
          : new PipelineConnection(address, frame, codeOf, told)
    this.#connections = Array.from({ length: CONNECTIONS }, this.#connect)
    this.#waiting = this.#connections.map(() => [])
  }

  async run({ rate, seconds }: LoadRound): Promise<LoadFigures> {
    const cpu = process.cpuUsage()
    const startedMs = performance.now()
    const endMs = startedMs + seconds * 1000
    for (let nowMs = startedMs; nowMs < endMs; nowMs = performance.now()) {
      this.#reconnect()
      this.#giveUp(nowMs)
      const due = rate === 0 ? this.#settled + ON_THE_WAY : ((nowMs - startedMs) / 1000) * rate
      // The moment it was due counts, and not that at which this process got round to it.
      while (this.#offered < due) this.#offer(rate === 0 ? nowMs : startedMs + (this.#offered / rate) * 1000)
      this.#send(nowMs)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    const tookSeconds = (performance.now() - startedMs) / 1000
    for (const connection of this.#connections) connection.close()
    const { user, system } = process.cpuUsage(cpu)
    return this.#figures(tookSeconds, (user + system) / 1e6 / tookSeconds)
  }

  get #settled(): number {
    return this.#times.length + this.#refused + this.#failed
  }

  #offer(dueMs: number): void {
    const waiting = this.#waiting[this.#offered % CONNECTIONS]!
    const id = this.#offered++
    if (this.#isPipeline && waiting.length >= FRAMES_WAITING_MAX) this.#refused++
    else waiting.push({ id, dueMs })
  }

  #reconnect(): void {
    for (const [index, connection] of this.#connections.entries()) {
      if (!connection.isOver) continue
      this.#connections[index] = this.#connect()
      for (const [id, sent] of this.#sent)
        if (sent.connection === connection) this.#settle(id, status.UNAVAILABLE)
    }
  }

  #send(nowMs: number): void {
    for (const [index, connection] of this.#connections.entries()) {
      const waiting = this.#waiting[index]!
      let sent = 0
      for (; sent < waiting.length; sent++) {
        const { id, dueMs } = waiting[sent]!
        if (dueMs + DEADLINE_MS <= nowMs) continue
        if (!connection.begin(id, dueMs + DEADLINE_MS - nowMs)) break
        this.#sent.set(id, { dueMs, connection })
      }
      waiting.splice(0, sent)
      connection.flush()
    }
  }

  #giveUp(nowMs: number): void {
    for (const [id, { dueMs, connection }] of this.#sent) {
      if (dueMs + DEADLINE_MS > nowMs) break
      this.#sent.delete(id)
      connection.giveUp(id)
    }
  }

  #settle(id: number, code: number): void {
    const request = this.#sent.get(id)
    if (request === undefined) return
    this.#sent.delete(id)
    const ms = performance.now() - request.dueMs
    if (ms > DEADLINE_MS) return
    if (code === status.RESOURCE_EXHAUSTED) this.#refused++
    else if (code === status.OK) this.#times.push(ms)
    else this.#failed++
  }

  #figures(seconds: number, cores: number): LoadFigures {
    const times = this.#times.sort((a, b) => a - b)
    const settled = this.#settled
    const at = (part: number): number => times[Math.floor(times.length * part)] ?? Number.NaN
    return {
      offered: this.#offered,
      answered: times.length,
      refused: this.#refused,
      failed: this.#failed,
      late: this.#offered - settled,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      seconds,
      cores,
    }
  }
}

serveParent({
  prepare: async () => undefined,
  measure: async (asked) => {
    const round = JSON.parse(asked) as LoadRound
    return await new Round(round.form).run(round)
  },
  close: async () => undefined,
})
