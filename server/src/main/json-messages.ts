// Messages of the contract as JSON, after protobuf's own mapping, except that numbers stay numbers when they fit:
// bytes as base64, numbers beyond 2^53 as text.

/** JSON text of a message. */
export function toJson(message: unknown): string {
  return JSON.stringify(message, (_key, value: unknown) => {
    if (typeof value === "bigint") {
      return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()
    }
    if (isSerializedBuffer(value)) return Buffer.from(value.data).toString("base64")
    return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value
  })
}

/** What `JSON.stringify` makes of a Buffer before the function above sees it. */
function isSerializedBuffer(value: unknown): value is { type: "Buffer"; data: number[] } {
  return (
    typeof value === "object" &&
    value !== null &&
    "type" in value &&
    value.type === "Buffer" &&
    "data" in value
  )
}
