// The other end of `Peer`: does for another shard what belongs here. The same limits hold as for calls of clients.

import type { MessagePort } from "node:worker_threads"
import type { PipelineRequest, PipelineResponse, ScanRequest, ScanResponse } from "@varve/proto"
import { VarveError } from "@varve/proto"
import { encodeError } from "./error-message.ts"
import {
  asBuffer,
  type PeerAnswer,
  type PeerCallName,
  type PeerCalls,
  type PeerRequest,
  peerCodecs,
} from "./peer-port.ts"

type Handlers = {
  readonly [Name in Exclude<PeerCallName, "scan">]: (
    request: PeerCalls[Name][0],
  ) => PeerCalls[Name][1] | Promise<PeerCalls[Name][1]>
}

/** What this shard does for another. */
export interface PeerHandlers extends Handlers {
  /** Pages of one of this shard's partitions, none of them empty. */
  scan(request: ScanRequest): AsyncIterator<ScanResponse>
  frame(frame: PipelineRequest): PipelineResponse | Promise<PipelineResponse>
}

/** Answers what comes over `port`, until it is closed. */
export function servePeer(port: MessagePort, handlers: PeerHandlers): void {
  const scans = new Map<number, AsyncIterator<ScanResponse>>()
  const answer = (id: number, name: PeerCallName, message: unknown): void => {
    const codec = peerCodecs[name][1] as { encode(message: unknown): { finish(): Uint8Array } }
    const response = codec.encode(message).finish() as Uint8Array<ArrayBuffer>
    port.postMessage({ kind: "answer", id, response } satisfies PeerAnswer, [response.buffer])
  }
  const fail = (id: number, error: unknown): void =>
    port.postMessage({ kind: "failure", id, error: encodeError(error) } satisfies PeerAnswer)

  const nextPage = (id: number, scan: AsyncIterator<ScanResponse>): void => {
    scan.next().then(
      ({ done, value }) => {
        if (done === true) scans.delete(id)
        answer(id, "scan", done === true ? { partition: 0, records: [] } : value)
      },
      (error: unknown) => {
        scans.delete(id)
        fail(id, error)
      },
    )
  }
  const endScan = (id: number): void => {
    const scan = scans.get(id)
    scans.delete(id)
    // Whoever has given up a scan does not hear how it ended.
    scan?.return?.().catch(() => undefined)
  }
  const begin = ({ id, name, request, deadlineMs }: Extract<PeerRequest, { kind: "call" }>): void => {
    try {
      if (Date.now() > deadlineMs) {
        throw new VarveError(
          "DEADLINE_PASSED",
          "the deadline passed before the call's turn came: nothing was done",
        )
      }
      const message = peerCodecs[name][0].decode(asBuffer(request))
      if (name === "scan") {
        const scan = handlers.scan(message as ScanRequest)
        scans.set(id, scan)
        nextPage(id, scan)
        return
      }
      const result = (handlers[name] as (message: unknown) => unknown)(message)
      if (!(result instanceof Promise)) answer(id, name, result)
      else
        result.then(
          (late) => answer(id, name, late),
          (error: unknown) => fail(id, error),
        )
    } catch (error) {
      fail(id, error)
    }
  }
  port.on("message", (message: PeerRequest) => {
    if (message.kind === "call") begin(message)
    else if (message.kind === "cancel") endScan(message.id)
    else {
      const scan = scans.get(message.id)
      if (scan !== undefined) nextPage(message.id, scan)
    }
  })
  port.once("close", () => {
    for (const id of [...scans.keys()]) endScan(id)
  })
}
