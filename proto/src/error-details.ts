// How an error travels: the trailer `grpc-status-details-bin` holds a google.rpc.Status with one
// google.rpc.ErrorInfo (domain "varve", reason, metadata), as every gRPC implementation reads it.

import { Metadata, type ServiceError, status } from "@grpc/grpc-js"
import { type Reason, VarveError } from "./errors.ts"
import { ErrorInfo } from "./gen/google/rpc/error_details.ts"
import { Status } from "./gen/google/rpc/status.ts"

/** Domain of the ErrorInfo of every error. */
export const ERROR_DOMAIN = "varve"
/** Name of the trailer that carries the details. */
export const ERROR_DETAILS_KEY = "grpc-status-details-bin"
const ERROR_INFO_TYPE_URL = "type.googleapis.com/google.rpc.ErrorInfo"
/** A trailer that is larger is not looked at. */
const ERROR_DETAILS_BYTES_MAX = 16 * 1024

/** What the details of an error say. */
export interface ErrorDetails {
  /** Canonical gRPC status code. */
  readonly code: number
  /** For people. */
  readonly message: string
  /** A `Reason`, or what a newer peer sent. */
  readonly reason: string
  /** Values that belong to the reason. */
  readonly metadata: Readonly<Record<string, string>>
}

/** The bytes of the trailer. The caller bounds `message`: trailers of 100 KB never arrive. */
export function encodeErrorDetails(details: ErrorDetails): Buffer {
  const { code, message, reason, metadata } = details
  const info = ErrorInfo.encode({ reason, domain: ERROR_DOMAIN, metadata: { ...metadata } }).finish()
  const bytes = Status.encode({
    code,
    message,
    details: [{ typeUrl: ERROR_INFO_TYPE_URL, value: info }],
  }).finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** What the bytes of the trailer say; `undefined` when they hold no ErrorInfo of this domain. */
export function decodeErrorDetails(bytes: Uint8Array): ErrorDetails | undefined {
  if (bytes.length > ERROR_DETAILS_BYTES_MAX) return undefined
  try {
    const { code, message, details } = Status.decode(bytes)
    for (const detail of details) {
      if (detail.typeUrl !== ERROR_INFO_TYPE_URL) continue
      const { reason, domain, metadata } = ErrorInfo.decode(detail.value)
      if (domain === ERROR_DOMAIN && reason !== "") return { code, message, reason, metadata }
    }
  } catch {
    return undefined // A peer's details that cannot be read are worth no more than none.
  }
  return undefined
}

/** Trailing metadata with the details. */
export function errorTrailer(details: ErrorDetails): Metadata {
  const trailer = new Metadata()
  trailer.set(ERROR_DETAILS_KEY, encodeErrorDetails(details))
  return trailer
}

/** The error of a failed gRPC call as a VarveError: by its details, else by its status code. */
export function varveErrorOf(error: ServiceError): VarveError {
  // gRPC adds a note about the name's resolution to what it says of a failed connection, also when it has none.
  const message = (error.details || error.message).replace(/\.? Resolution note: $/, "")
  const bytes = error.metadata?.get(ERROR_DETAILS_KEY)[0]
  const details = bytes instanceof Uint8Array ? decodeErrorDetails(bytes) : undefined
  if (details === undefined)
    return new VarveError(reasonOf(error.code, message), message, { code: error.code, cause: error })
  return new VarveError(details.reason, message, {
    code: error.code,
    metadata: details.metadata,
    cause: error,
  })
}

/** What a status means that came without details: from a proxy, or from gRPC itself. */
function reasonOf(code: number, message: string): Reason {
  switch (code) {
    case status.UNAVAILABLE:
      return "CONNECTION_LOST"
    case status.DEADLINE_EXCEEDED:
      return "DEADLINE_PASSED"
    case status.CANCELLED:
      return "CANCELLED"
    case status.RESOURCE_EXHAUSTED:
      // gRPC says nothing else of its own with this code; a stream that was ended for taking too much has it too.
      return /larger than max/.test(message) ? "MESSAGE_TOO_LARGE" : "OVERLOADED"
    case status.INVALID_ARGUMENT:
      return "REQUEST_INVALID"
    case status.UNIMPLEMENTED:
      return "UNIMPLEMENTED"
    default:
      return "INTERNAL"
  }
}
