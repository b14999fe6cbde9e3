// As much of etcd's client as a benchmark needs: Put and Range of one key over gRPC, the messages encoded by hand
// (etcdserverpb.KV: PutRequest key = 1, value = 2; RangeRequest key = 1; RangeResponse kvs = 2; KeyValue value = 5).

import { Client, credentials } from "@grpc/grpc-js"

const KEY = 1
const VALUE = 2
const RANGE_KVS = 2
const KEY_VALUE_VALUE = 5
/** Wire types of protobuf. */
const VARINT = 0
const BYTES = 2

export interface EtcdCalls {
  set(key: Buffer, value: Buffer): Promise<void>
  get(key: Buffer): Promise<Buffer | undefined>
  close(): Promise<void>
}

/** A client of the etcd at `address`. */
export function connectEtcd(address: string): EtcdCalls {
  const client = new Client(address, credentials.createInsecure(), { "grpc.enable_http_proxy": 0 })
  const call = <Answer>(path: string, request: Buffer, decode: (bytes: Buffer) => Answer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const encode = (bytes: Buffer): Buffer => bytes
      client.makeUnaryRequest(path, encode, decode, request, (error, answer) => {
        if (error === null) resolve(answer as Answer)
        else reject(error)
      })
    })
  return {
    set: (key, value) =>
      call(
        "/etcdserverpb.KV/Put",
        Buffer.concat([...field(KEY, key), ...field(VALUE, value)]),
        () => undefined,
      ),
    get: (key) => call("/etcdserverpb.KV/Range", Buffer.concat(field(KEY, key)), valueIn),
    close: async () => client.close(),
  }
}

/** A field of bytes: its head and the bytes. */
function field(number: number, bytes: Buffer): [Buffer, Buffer] {
  const head = [(number << 3) | BYTES]
  let rest = bytes.length
  for (; rest >= 0x80; rest >>>= 7) head.push((rest & 0x7f) | 0x80)
  head.push(rest)
  return [Buffer.from(head), bytes]
}

/** The value of the first record of a RangeResponse. */
function valueIn(message: Buffer): Buffer | undefined {
  const record = fieldOf(message, RANGE_KVS)
  const value = record === undefined ? undefined : fieldOf(record, KEY_VALUE_VALUE)
  return value === undefined ? undefined : Buffer.from(value)
}

/** The bytes of the first field of this number. The messages that come here have no fields of other wire types. */
function fieldOf(message: Buffer, wanted: number): Buffer | undefined {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = message.readUInt8(at++)
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = varint()
    const length = varint()
    if ((tag & 7) === VARINT) continue
    if ((tag & 7) !== BYTES) throw new Error(`etcd answered a field of wire type ${tag & 7}`)
    if (tag >>> 3 === wanted) return message.subarray(at, at + length)
    at += length
  }
  return undefined
}
