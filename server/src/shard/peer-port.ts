// What two shards say to each other over their message port. A call that came to the wrong shard crosses as the bytes
// of its message in the contract, and so does its answer: one copy to encode, and then the buffer changes hands.
//
//   call(id, name, request, deadlineMs) ──►
//                                       ◄── answer(id, response)           once; of a scan: a page for each call and next
//                                       ◄── failure(id, error)
//   next(id) ──►                            the scan's next page is wanted: never more than one lies in the port
//   cancel(id) ──►                          nobody wants more of the scan
//
// A page of no records ends a scan. Calls are begun in the order in which they come.

import {
  DeleteRequest,
  DeleteResponse,
  GetManyRequest,
  GetManyResponse,
  GetRequest,
  GetResponse,
  PipelineRequest,
  PipelineResponse,
  ScanRequest,
  ScanResponse,
  SetRequest,
  SetResponse,
  WriteRequest,
  WriteResponse,
} from "@varve/proto"
import type { ErrorMessage } from "./error-message.ts"

/** Request and response of each call. */
export interface PeerCalls {
  get: [GetRequest, GetResponse]
  set: [SetRequest, SetResponse]
  delete: [DeleteRequest, DeleteResponse]
  getMany: [GetManyRequest, GetManyResponse]
  write: [WriteRequest, WriteResponse]
  frame: [PipelineRequest, PipelineResponse]
  scan: [ScanRequest, ScanResponse]
}

export type PeerCallName = keyof PeerCalls

interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array }
  decode(bytes: Uint8Array): Message
}

export const peerCodecs: {
  readonly [Name in PeerCallName]: readonly [Codec<PeerCalls[Name][0]>, Codec<PeerCalls[Name][1]>]
} = {
  get: [GetRequest, GetResponse],
  set: [SetRequest, SetResponse],
  delete: [DeleteRequest, DeleteResponse],
  getMany: [GetManyRequest, GetManyResponse],
  write: [WriteRequest, WriteResponse],
  frame: [PipelineRequest, PipelineResponse],
  scan: [ScanRequest, ScanResponse],
}

/** `bytes` as gRPC hands them over: code that sees both stays fast when it sees one class. */
export function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** From the shard that a call came to. */
export type PeerRequest =
  | {
      readonly kind: "call"
      readonly id: number
      readonly name: PeerCallName
      readonly request: Uint8Array<ArrayBuffer>
      /** Milliseconds since 1970 after which nobody waits; infinite: none. */
      readonly deadlineMs: number
    }
  | { readonly kind: "next" | "cancel"; readonly id: number }

/** From the shard that owns the partition. */
export type PeerAnswer =
  | { readonly kind: "answer"; readonly id: number; readonly response: Uint8Array<ArrayBuffer> }
  | { readonly kind: "failure"; readonly id: number; readonly error: ErrorMessage }

/**
 * What a call that waits for another shard holds besides its bytes: a promise here, a message in the port, an answer there.
 * It counts as in flight, and so bounds how many calls may wait.
 */
export const PEER_CALL_BYTES = 1024
