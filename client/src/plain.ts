// Answers as callers get them: 64-bit numbers as `number` (versions end at 2^53 - 1, byte counts are far below),
// bytes as Buffers of their own.

/** A message with 64-bit numbers as `number` and bytes as `Buffer`. */
export type Plain<Message> = Message extends bigint
  ? number
  : Message extends Uint8Array
    ? Buffer
    : Message extends readonly (infer Item)[]
      ? Plain<Item>[]
      : Message extends object
        ? { -readonly [Field in keyof Message]: Plain<Message[Field]> }
        : Message

/** A deep copy of a generated message. */
export function plain<Message>(message: Message): Plain<Message> {
  return convert(message) as Plain<Message>
}

function convert(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value)
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (Array.isArray(value)) return value.map(convert)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([field, content]) => [field, convert(content)]))
}
