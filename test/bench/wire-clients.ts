// The clients of the `wire` suite, each behind the same few calls.

import { connect } from "@varve/client"
import { Redis } from "ioredis"
import { connectEtcd } from "./etcd-client.ts"

/** What is measured; bytes passed in stay as they are until the answer. */
export interface WireCalls {
  set(key: Buffer, value: Buffer): Promise<unknown>
  get(key: Buffer): Promise<Buffer | null | undefined>
  /** Many records in one call, where there is such a call. */
  write?(records: readonly { key: Buffer; value: Buffer }[]): Promise<unknown>
  getMany?(keys: readonly Buffer[]): Promise<readonly unknown[]>
  close(): Promise<unknown>
}

/**
 * How the calls of a contender are made. `varve-sessionless`: writes are not sent again. `ioredis-single`: without
 * auto-pipelining, for one call at a time.
 */
export const wireClients: Readonly<Record<string, (address: string) => WireCalls>> = {
  varve: (address) => connect(address),
  "varve-sessionless": (address) => connect(address, { sessions: false }),
  "varve-unix": (address) => connect(address),
  ioredis: (address) => redisCalls(address, true),
  "ioredis-single": (address) => redisCalls(address, false),
  "ioredis-unix": (address) => redisCalls(address, false),
  etcd: (address) => connectEtcd(address),
}

function redisCalls(address: string, enableAutoPipelining: boolean): WireCalls {
  const [host, port] = address.split(":")
  const place = address.startsWith("/") ? { path: address } : { host: host!, port: Number(port) }
  const redis = new Redis({ ...place, enableAutoPipelining })
  return {
    set: (key, value) => redis.set(key, value),
    get: (key) => redis.getBuffer(key),
    close: () => redis.quit(),
  }
}
