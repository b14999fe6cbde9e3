// gRPC by hand on HTTP/2, for what a well-behaved client cannot send.

import { connect as connectHttp2 } from "node:http2"

/** @param compressed the frame's flag: 0 or 1 */
export function frameOf(message: Buffer, compressed: number): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt8(compressed, 0)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

export function requestHeaders(method: string, service = "varve.v1.StateBackend"): Record<string, string> {
  return {
    ":method": "POST",
    ":path": `/${service}/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
  }
}

/** A call by hand to the daemon at `address`; without a body it stays open at this end. */
export async function rawCall(
  address: string,
  method: string,
  body: Buffer | undefined,
  headers: Record<string, string> = {},
  service = "varve.v1.StateBackend",
): Promise<{ trailers: Record<string, unknown>; body: Buffer }> {
  const session = connectHttp2(`http://${address}`)
  try {
    const stream = session.request({ ...requestHeaders(method, service), ...headers })
    return await new Promise((resolve, reject) => {
      const parts: Buffer[] = []
      let trailers: Record<string, unknown> = {}
      stream.on("response", (received) => {
        if (received["grpc-status"] !== undefined) trailers = { ...received }
      })
      stream.on("trailers", (received) => {
        trailers = { ...received }
      })
      stream.on("data", (part: Buffer) => parts.push(part))
      stream.on("close", () => resolve({ trailers, body: Buffer.concat(parts) }))
      stream.on("end", () => stream.close())
      stream.on("error", reject)
      if (body !== undefined) stream.end(body)
    })
  } finally {
    session.close()
  }
}
