// The gRPC server of a shard: services, limits, and an orderly end.
//
// End: new connections are refused, new calls and frames answered SHUTTING_DOWN, quiet pipelines ended, open
// connections are told to go away, calls get a grace time to finish, what is left is cut.

import { Server, ServerCredentials } from "@grpc/grpc-js"
import { encodeAnswerMessage, type StateBackendServer, StateBackendService } from "@varve/proto"
import { HealthImplementation, service as healthService } from "grpc-health-check"
import type { Registry } from "prom-client"
import type { ListenAddress } from "../config/address.ts"
import type { Settings } from "../config/settings.ts"
import type { Log } from "../log.ts"
import { CallMetrics } from "../metrics/call-metrics.ts"
import type { ServerLoad } from "../metrics/server-metrics.ts"
import type { Admission } from "./admission.ts"
import { AnswerPaces } from "./answer-pace.ts"
import { Arrivals } from "./arrival.ts"
import { guardCalls } from "./call-guard.ts"
import { EarlyRefusal } from "./early-refusal.ts"
import { Inflight } from "./inflight.ts"
import { Listener } from "./listener.ts"
import { Looks } from "./looks.ts"
import { boundedService } from "./message-bounds.ts"
import { OpenCalls } from "./open-calls.ts"
import { addReflection, reflectionServices } from "./reflection.ts"

const SERVICE_NAME = "varve.v1.StateBackend"
/** Of Node's own count of what a session buffers, in MiB; its default of 10 cuts off healthy pipelines. */
const SESSION_MEMORY_MIB_LEAST = 64
const KEEPALIVE_TIMEOUT_MS = 20_000
/** How often an end looks whether connections are left. */
const DRAIN_CHECK_MS = 10
const MIB = 1024 * 1024

const recordCalls: readonly string[] = ["get", "set", "delete", "getMany", "write", "scan", "pipeline"]
/** Answers of a pipeline are encoded the short way. */
const service: typeof StateBackendService = {
  ...StateBackendService,
  pipeline: { ...StateBackendService.pipeline, responseSerialize: encodeAnswerMessage },
}

const carriesRecords = (name: string): boolean => recordCalls.includes(name)
/** A pipeline is opened once, and held back by flow control. */
const refusedEarly = new Set(
  Object.entries(StateBackendService).flatMap(([name, { path }]) =>
    carriesRecords(name) && name !== "pipeline" ? [path] : [],
  ),
)

/** Of what may be in flight: from then on calls that are stuck are ended. Scans that nobody reads hold as much. */
const SHORT_PART = 4

/** What may speak against SERVING: a partition was taken, the daemon as a whole is not ready, this is the end. */
type ServingVoice = "owner" | "daemon" | "end"

/**
 * What a client may send before this side has taken any of it, on a stream and on a connection. HTTP/2's 64 KiB hold four
 * frames of 512 callers: with more the client sends its next frames while those are applied.
 */
const WINDOW_BYTES = 256 * 1024

interface GrpcServerParts {
  readonly server: Server
  readonly listener: Listener
  readonly injector: ReturnType<Server["createConnectionInjector"]>
  readonly arrivals: Arrivals
  readonly health: HealthImplementation
  readonly admission: Admission
  readonly openCalls: OpenCalls
  readonly refusal: EarlyRefusal
  readonly connectionsMax: number
}

export class GrpcServer {
  readonly #parts: GrpcServerParts
  readonly #against = new Set<ServingVoice>()

  private constructor(parts: GrpcServerParts) {
    this.#parts = parts
  }

  /** Resolves when calls are taken. @throws (rejects) SettingsError, or the system's error */
  static async open(
    { grpc: address, limits, socketMode }: Pick<Settings, "grpc" | "limits" | "socketMode">,
    backend: StateBackendServer,
    registry: Registry,
    inflight: Inflight,
    admission: Admission,
    log: Log,
  ): Promise<GrpcServer> {
    const metrics = new CallMetrics(registry, [StateBackendService, healthService, ...reflectionServices])
    const looks = new Looks(limits.handshakeSeconds * 1000)
    const arrivals = new Arrivals(new Inflight(limits.inflightBytesMax), looks)
    const openCalls = new OpenCalls(limits.inflightBytesMax)
    const paces = new AnswerPaces(looks, () => inflight.bytes >= inflight.bytesMax / SHORT_PART)
    const server = new Server({
      "grpc.max_receive_message_length": limits.messageBytesMax,
      "grpc.max_send_message_length": limits.messageBytesMax,
      "grpc.max_concurrent_streams": limits.streamsPerConnectionMax,
      "grpc.max_connection_idle_ms": limits.connectionIdleSeconds * 1000,
      "grpc.keepalive_time_ms": limits.keepaliveSeconds * 1000,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.enable_channelz": 0,
      "grpc-node.flow_control_window": WINDOW_BYTES,
      "grpc-node.max_session_memory": Math.max(
        SESSION_MEMORY_MIB_LEAST,
        Math.ceil((4 * limits.messageBytesMax) / MIB),
      ),
      interceptors: [guardCalls({ metrics, admission, inflight, arrivals, openCalls, paces, log })],
    })
    const { streamsPerConnectionMax } = limits
    const refusal = new EarlyRefusal(server, refusedEarly, streamsPerConnectionMax, openCalls, metrics)
    server.addService(boundedService(service, carriesRecords), backend)
    const health = new HealthImplementation({ "": "SERVING", [SERVICE_NAME]: "SERVING" })
    health.addToServer(server)
    addReflection(server, log)
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
    const listener = await Listener.open(
      address,
      { ...limits, socketMode },
      (socket) => injector.injectConnection(socket),
      log,
    )
    const { connectionsMax } = limits
    const parts = {
      server,
      listener,
      injector,
      arrivals,
      health,
      admission,
      openCalls,
      refusal,
      connectionsMax,
    }
    return new GrpcServer(parts)
  }

  /** Where calls are taken. */
  get address(): ListenAddress {
    return this.#parts.listener.address
  }

  get load(): ServerLoad {
    const { listener, openCalls, refusal, arrivals, connectionsMax } = this.#parts
    return {
      connections: listener.connectionCount,
      connectionsMax,
      connectionsRefused: listener.refusedCount,
      calls: openCalls.count,
      callsMax: openCalls.callsMax,
      isOverloaded: refusal.overload.isOverloaded,
      callsRefused: refusal.overload.refusedCount,
      arrivingBytes: arrivals.inflight.bytes,
      arrivingBytesMax: arrivals.inflight.bytesMax,
    }
  }

  /** What health checks answer from now on: SERVING as long as nothing speaks against it. Calls are taken all the same. */
  setServing(who: ServingVoice, isServing: boolean): void {
    if (isServing) this.#against.delete(who)
    else this.#against.add(who)
    const status = this.#against.size === 0 ? "SERVING" : "NOT_SERVING"
    this.#parts.health.setStatus("", status)
    this.#parts.health.setStatus(SERVICE_NAME, status)
  }

  /** Resolves when no connection is left: within `graceMs`, or at once after it. */
  async close(graceMs: number): Promise<void> {
    const { admission, listener, injector, arrivals, refusal, server } = this.#parts
    admission.close()
    refusal.stop()
    this.setServing("end", false)
    listener.stop()
    injector.drain(graceMs)
    const deadlineMs = performance.now() + graceMs
    while (listener.connectionCount > 0 && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_CHECK_MS))
    }
    server.forceShutdown()
    arrivals.looks.close()
    listener.destroy()
  }
}
