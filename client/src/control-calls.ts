// Calls that go alone and not through the pipeline: versions, descriptions. They wait for a connection, but no longer
// than `connectDeadlineMs`, and are then made on what is connected. One that only reads is made again when the
// connection breaks; another is not, for nobody knows whether it had its effect.

import {
  type ClientUnaryCall,
  type CallOptions as GrpcCallOptions,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js"
import { type RestoreResponse, type StateBackendClient, VarveError, varveErrorOf } from "@varve/proto"
import { unwatchAbort, watchAbort } from "./abort-watch.ts"
import { Backoff } from "./backoff.ts"
import type { Connection } from "./connection.ts"
import { noConnection } from "./no-connection.ts"
import { type CallOptions, deadlineOf, type Settings } from "./options.ts"

/** A unary method of the generated client, bound to its channel. */
type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: GrpcCallOptions,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall

/** The end of a call, whichever comes first. */
export interface CallEnd {
  /** Milliseconds of `performance.now()`. */
  readonly deadlineAt: number
  readonly deadlineMs: number
  readonly signal: AbortSignal | undefined
}

export class ControlCalls {
  readonly #way: () => Connection
  readonly #settings: Settings
  /** What to call when the client is closed. */
  readonly #running = new Set<(error: VarveError) => void>()
  /** The error of calls that were not sent when the client was closed, and of later ones. */
  #closed: VarveError | undefined

  /** @param way which connection a call is to take that is made now */
  constructor(way: () => Connection, settings: Settings) {
    this.#way = way
    this.#settings = settings
  }

  /** When a call of these options ends. @throws VarveError `CLIENT_CLOSED`, `CANCELLED`, `REQUEST_INVALID` */
  endOf(options: CallOptions | undefined, defaultMs: number): CallEnd {
    if (this.#closed !== undefined) throw this.#closed
    const deadlineMs = deadlineOf(options, defaultMs)
    const end = { deadlineAt: performance.now() + deadlineMs, deadlineMs, signal: options?.signal }
    if (end.signal?.aborted === true) throw cancelled(end.signal)
    return end
  }

  /** Makes the call once. @throws (rejects) VarveError */
  async call<Request, Response>(
    method: (channel: StateBackendClient) => UnaryMethod<Request, Response>,
    request: Request,
    end: CallEnd,
  ): Promise<Response> {
    const { channel } = await this.#connected(this.#way(), end)
    return await new Promise((resolve, reject) => {
      if (this.#closed !== undefined) throw this.#closed
      if (end.signal?.aborted === true) throw cancelled(end.signal)
      const unary = method(channel).bind(channel)
      const call = unary(request, new Metadata(), { deadline: wallDeadline(end) }, (error, response) => {
        forget()
        if (error === null) resolve(response)
        else reject(errorOfPeer(error))
      })
      const forget = this.#remember(end.signal, (error) => {
        reject(error)
        call.cancel()
      })
    })
  }

  /** Makes a call that only reads, and makes it again when the connection breaks. @throws (rejects) VarveError */
  async read<Request, Response>(
    method: (channel: StateBackendClient) => UnaryMethod<Request, Response>,
    request: Request,
    end: CallEnd,
  ): Promise<Response> {
    const backoff = new Backoff(this.#settings.backoffFirstMs, this.#settings.backoffMaxMs)
    for (;;) {
      try {
        return await this.call(method, request, end)
      } catch (error) {
        const pauseMs = backoff.next()
        if (!isConnectionTrouble(error) || performance.now() + pauseMs >= end.deadlineAt) throw error
        await this.#sleep(pauseMs, end.signal)
      }
    }
  }

  /** By partition, the lineages of the state that a restore has put there. @throws (rejects) VarveError */
  async lineagesAfter(response: RestoreResponse, end: CallEnd): Promise<Map<number, string>> {
    const told = Object.entries(response.lineages)
    if (told.length > 0) return new Map(told.map(([partition, lineage]) => [Number(partition), lineage]))
    const { store } = this.#settings
    const { stores } = await this.read((channel) => channel.describe, { store }, end)
    const partitions = stores.find(({ name }) => name === store)?.partitions ?? []
    return new Map(
      partitions
        .filter(({ partition }) => response.partitions.includes(partition))
        .map(({ partition, lineage }) => [partition, lineage]),
    )
  }

  /**
   * Messages of a server stream over `connection`, in order. Leaving the loop ends the call.
   * @throws (rejects) VarveError
   */
  async *stream<Request, Response>(
    open: (channel: StateBackendClient) => ServerStreamMethod<Request, Response>,
    request: Request,
    end: CallEnd,
    connection: Connection = this.#way(),
  ): AsyncGenerator<Response, void, void> {
    const { channel } = await this.#connected(connection, end)
    if (this.#closed !== undefined) throw this.#closed
    if (end.signal?.aborted === true) throw cancelled(end.signal)
    const stream = open(channel).call(channel, request, new Metadata(), {
      deadline: wallDeadline(end),
    })
    let given: VarveError | undefined
    const forget = this.#remember(end.signal, (error) => {
      given = error
      stream.cancel()
    })
    try {
      for await (const response of stream) yield response as Response
    } catch (error) {
      throw given ?? (error instanceof VarveError ? error : errorOfPeer(error as ServiceError))
    } finally {
      forget()
      stream.cancel()
    }
  }

  /** Ends calls that are on their way with `error`; the others, and later ones, with `notSent`. */
  close(error: VarveError, notSent: VarveError): void {
    this.#closed = notSent
    for (const end of [...this.#running]) end(error)
  }

  /**
   * Resolves when the connection is open, or the daemon refuses it.
   * @throws (rejects) VarveError `DEADLINE_PASSED`: nothing was sent
   */
  #connected(connection: Connection, end: CallEnd): Promise<Connection> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) throw this.#closed
      if (end.signal?.aborted === true) throw cancelled(end.signal)
      if (connection.isOpen) {
        resolve(connection)
        return
      }
      const leftMs = Math.max(0, end.deadlineAt - performance.now())
      const timer = setTimeout(
        () => {
          leave()
          reject(noConnection(connection, end, this.#settings))
        },
        Math.min(leftMs, this.#settings.connectDeadlineMs),
      )
      const wake = (): void => {
        leave()
        resolve(connection)
      }
      const leave = (): void => {
        clearTimeout(timer)
        connection.waiters.delete(wake)
        forget()
      }
      const forget = this.#remember(end.signal, (error) => {
        leave()
        reject(this.#closed ?? error)
      })
      connection.waiters.add(wake)
      connection.connect()
    })
  }

  /** Calls `end` when the client is closed or the signal aborted, until the returned function is called. */
  #remember(signal: AbortSignal | undefined, end: (error: VarveError) => void): () => void {
    const onAbort = (): void => finish(cancelled(signal!))
    const finish = (error: VarveError): void => {
      forget()
      end(error)
    }
    const forget = (): void => {
      this.#running.delete(finish)
      if (signal !== undefined) unwatchAbort(signal, onAbort)
    }
    this.#running.add(finish)
    if (signal !== undefined) watchAbort(signal, onAbort)
    return forget
  }

  #sleep(pauseMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        forget()
        resolve()
      }, pauseMs)
      const forget = this.#remember(signal, (error) => {
        clearTimeout(timer)
        reject(error)
      })
    })
  }
}

type ServerStreamMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: GrpcCallOptions,
) => AsyncIterable<Response> & { cancel(): void }

/** gRPC wants the time of the clock on the wall. */
function wallDeadline({ deadlineAt }: CallEnd): number {
  return Date.now() + Math.max(0, deadlineAt - performance.now())
}

function isConnectionTrouble(error: unknown): boolean {
  return (
    error instanceof VarveError && (error.reason === "CONNECTION_LOST" || error.reason === "SHUTTING_DOWN")
  )
}

/** The caller's own cancelling is told apart before: CANCELLED from outside is a daemon that cut the call off. */
function errorOfPeer(error: ServiceError): VarveError {
  const told = varveErrorOf(error)
  if (told.reason !== "CANCELLED" && told.reason !== "CONNECTION_LOST") return told
  return new VarveError(
    "CONNECTION_LOST",
    `the connection broke: the call may or may not have had its effect (${told.message})`,
    { cause: error },
  )
}

function cancelled(signal: AbortSignal): VarveError {
  return new VarveError("CANCELLED", "the caller cancelled; the call may or may not have had its effect", {
    cause: signal.reason,
  })
}
