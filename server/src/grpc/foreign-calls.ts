// Hands calls over that came to this shard and concern partitions of others. Each method answers `undefined` when the
// call is this shard's own business. What waits for another shard counts as in flight here, too.

import type {
  DeleteRequest,
  GetManyRequest,
  GetManyResponse,
  GetRequest,
  GetResponse,
  SetRequest,
  WriteRequest,
} from "@varve/proto"
import type { Peer } from "../shard/peer.ts"
import { PEER_CALL_BYTES, type PeerCallName, type PeerCalls } from "../shard/peer-port.ts"
import type { ShardPartition, ShardStore } from "../shard/shard-store.ts"
import type { Stores } from "../shard/stores.ts"
import type { Inflight } from "./inflight.ts"
import { checkKeyCount, checkReadBytes } from "./read-limits.ts"

/** Of one value in an answer: tags and lengths. */
const VALUE_OVERHEAD_BYTES = 16

type GetManyHere = (request: GetManyRequest) => GetManyResponse | Promise<GetManyResponse>

export class ForeignCalls {
  readonly #stores: Stores<ShardStore>
  readonly #inflight: Inflight
  readonly #answerBytesMax: number

  constructor(stores: Stores<ShardStore>, inflight: Inflight, answerBytesMax: number) {
    this.#stores = stores
    this.#inflight = inflight
    this.#answerBytesMax = answerBytesMax
  }

  /** A call on one key. */
  point<Name extends "get" | "set" | "delete">(
    name: Name,
    request: (GetRequest | SetRequest | DeleteRequest) & PeerCalls[Name][0],
    deadlineMs: number,
  ): Promise<PeerCalls[Name][1]> | undefined {
    const owner = this.#owner(request.store, request.key, request.partition)
    if (owner === undefined) return undefined
    const valueBytes = "value" in request ? request.value.length : 0
    return this.#call(owner, name, request, request.key.length + valueBytes, deadlineMs)
  }

  /** Records of one partition; the owner sees whether they all are. */
  write(request: WriteRequest, deadlineMs: number): Promise<PeerCalls["write"][1]> | undefined {
    const { records, expected, store, partition } = request
    const first = records[0] ?? expected[0]
    if (first === undefined) return undefined
    const owner = this.#owner(store, first.key, partition)
    if (owner === undefined) return undefined
    const bytes = [...records, ...expected].reduce(
      (sum, { key, value }) => sum + key.length + value.length,
      0,
    )
    return this.#call(owner, "write", request, bytes, deadlineMs)
  }

  /** Keys of any partitions: each shard reads its own, and the answers are put together in the order of the keys. */
  getMany(
    request: GetManyRequest,
    here: GetManyHere,
    deadlineMs: number,
  ): Promise<GetManyResponse> | undefined {
    const parts = this.#partsOf(request)
    if (parts === undefined) return undefined
    const pending = [...parts].map(async ([owner, positions]) => {
      const part = { ...request, keys: positions.map((at) => request.keys[at]!) }
      const bytes = part.keys.reduce((sum, key) => sum + key.length, 0)
      const { values } =
        owner === undefined ? await here(part) : await this.#call(owner, "getMany", part, bytes, deadlineMs)
      return { positions, values }
    })
    return this.#together(request.keys.length, pending)
  }

  async #together(
    count: number,
    pending: readonly Promise<{ positions: readonly number[]; values: readonly GetResponse[] }>[],
  ): Promise<GetManyResponse> {
    const values = new Array<GetResponse>(count)
    for (const part of await Promise.all(pending)) {
      for (const [at, position] of part.positions.entries()) values[position] = part.values[at]!
    }
    const bytes = values.reduce((sum, { value }) => sum + value.length + VALUE_OVERHEAD_BYTES, 0)
    checkReadBytes(bytes, this.#answerBytesMax)
    return { values }
  }

  /** Positions of keys by owner; undefined when all are this shard's. */
  #partsOf({ store, keys, partition }: GetManyRequest): Map<Peer | undefined, number[]> | undefined {
    const owners = this.#stores.get(store)
    if (!hasForeign(owners)) return undefined
    checkKeyCount(keys.length)
    const parts = new Map<Peer | undefined, number[]>()
    for (const [at, key] of keys.entries()) {
      const { owner } = owners.partitionOf(key, partition)
      const list = parts.get(owner)
      if (list === undefined) parts.set(owner, [at])
      else list.push(at)
    }
    return [...parts.keys()].some((owner) => owner !== undefined) ? parts : undefined
  }

  #owner(storeName: string, key: Uint8Array, given: number | undefined): Peer | undefined {
    const store = this.#stores.get(storeName)
    return hasForeign(store) ? store.partitionOf(key, given).owner : undefined
  }

  #call<Name extends PeerCallName>(
    owner: Peer,
    name: Name,
    request: PeerCalls[Name][0],
    bytes: number,
    deadlineMs: number,
  ): Promise<PeerCalls[Name][1]> {
    this.#inflight.check()
    return this.#inflight.during(PEER_CALL_BYTES + bytes, owner.call(name, request, deadlineMs))
  }
}

function hasForeign({ partitions }: { readonly partitions: readonly ShardPartition[] }): boolean {
  // Neighbours live on different shards: when the second is at home, all are.
  return partitions[0]?.owner !== undefined || partitions[1]?.owner !== undefined
}
