// A connection to a daemon for the length of one command: generated stubs, deadlines, errors as VarveError.

import {
  type CallOptions,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js"
import { StateBackendClient, varveErrorOf } from "@varve/proto"
import { parseAddress } from "./address.ts"

/** As large as a daemon can be told to answer. */
const MESSAGE_BYTES_MAX = 1024 * 1024 * 1024

const channelOptions = {
  "grpc.enable_http_proxy": 0,
  "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
  "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
  // Streams of one command do not share a connection with each other.
  "grpc.use_local_subchannel_pool": 1,
}

type Callback<Response> = (error: ServiceError | null, response: Response) => void
/** A unary method of the generated stub, bound to it. */
type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: Callback<Response>,
) => unknown

/** Opens a stub; the caller closes it. Connects at the first call. @throws UsageError for what is no address */
export function openStub(address: string): StateBackendClient {
  return new StateBackendClient(parseAddress(address), credentials.createInsecure(), channelOptions)
}

/** One unary call. @throws (rejects) VarveError; `DEADLINE_PASSED` after `timeoutSeconds` */
export function call<Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Request,
  timeoutSeconds: number,
): Promise<Response> {
  const deadline = new Date(Date.now() + timeoutSeconds * 1000)
  return new Promise((resolve, reject) => {
    method(request, new Metadata(), { deadline }, (error, response) => {
      if (error !== null) reject(varveErrorOf(error))
      else resolve(response)
    })
  })
}

/** The messages of a server stream, in order. @throws VarveError */
export async function* messages<Response>(stream: ClientReadableStream<Response>): AsyncGenerator<Response> {
  try {
    for await (const message of stream) yield message as Response
  } catch (error) {
    throw isServiceError(error) ? varveErrorOf(error) : error
  } finally {
    stream.cancel()
  }
}

/** True for the errors of grpc-js calls. */
export function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error && typeof (error as Partial<ServiceError>).code === "number" && "details" in error
  )
}
