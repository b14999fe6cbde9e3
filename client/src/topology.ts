// What Describe tells about the store: how keys find their partition, where partitions are, and the limits.

import { type DescribeResponse, PARTITION_COUNT_MAX, partitionOfKey, VarveError } from "@varve/proto"
import {
  BATCH_RECORDS_MAX,
  FRAME_BYTES_MAX,
  MESSAGE_BYTES_DEFAULT,
  MESSAGE_OVERHEAD_BYTES,
} from "./options.ts"

/** Addresses that mean "at the host where you reached me": a daemon that listens on all interfaces cannot know better. */
const WILDCARD_HOST = /^(?:0\.0\.0\.0|\[::\]|\*)?:(\d+)$/
const HOST_AND_PORT = /^(.+):(\d+)$/

export class Topology {
  readonly partitionCount: number
  readonly explicit: boolean
  readonly valueBytesMax: number
  /** Bytes of records that one frame can carry at most. */
  readonly batchBytesMax: number
  /** Bytes of records at which a frame is closed. */
  readonly frameBytesMax: number
  readonly #store: string
  /** By partition. */
  readonly #addresses = new Map<number, string>()
  readonly #lineages = new Map<number, string>()

  /**
   * @param seedAddress where the answer came from
   * @throws VarveError `STORE_UNKNOWN`, `INTERNAL` when the answer makes no sense
   */
  constructor(response: DescribeResponse, store: string, seedAddress: string) {
    const description = response.stores.find(({ name }) => name === store)
    if (description === undefined) {
      throw new VarveError(
        "STORE_UNKNOWN",
        `the daemon at ${seedAddress} has no store ${JSON.stringify(store)}`,
      )
    }
    const { partitionCount, partitioning, partitions, valueBytesMax } = description
    if (partitionCount < 1 || partitionCount > PARTITION_COUNT_MAX) {
      throw new VarveError("INTERNAL", `the daemon at ${seedAddress} describes ${partitionCount} partitions`)
    }
    this.#store = store
    this.partitionCount = partitionCount
    this.explicit = partitioning === "explicit"
    this.valueBytesMax = Number(valueBytesMax)
    const messageBytesMax = Number(response.node?.messageBytesMax ?? 0n) || MESSAGE_BYTES_DEFAULT
    this.batchBytesMax = messageBytesMax - MESSAGE_OVERHEAD_BYTES
    this.frameBytesMax = Math.min(FRAME_BYTES_MAX, this.batchBytesMax)
    const described = new Set(partitions.map(({ address }) => address))
    for (const { partition, address, lineage } of partitions) {
      this.#addresses.set(partition, reachableAddress(address, seedAddress, described))
      this.#lineages.set(partition, lineage)
    }
  }

  /** Where `partition` is reached; `undefined`: ask the address that the caller gave. */
  addressOf(partition: number): string | undefined {
    return this.#addresses.get(partition)
  }

  /** By partition, for those that the daemon serves. */
  get lineages(): ReadonlyMap<number, string> {
    return this.#lineages
  }

  /**
   * The partition of a key.
   * @param given what the caller says
   * @throws VarveError `PARTITION_REQUIRED`, `PARTITION_OUT_OF_RANGE`, `WRONG_PARTITION`
   */
  partitionOf(key: Uint8Array, given: number | undefined): number {
    if (given !== undefined) this.checkPartition(given)
    if (this.explicit) {
      if (given !== undefined) return given
      throw new VarveError(
        "PARTITION_REQUIRED",
        `the store ${this.#store} is \`partitioning: explicit\`: the call needs the option partition`,
      )
    }
    const partition = partitionOfKey(key, this.partitionCount)
    if (given === undefined || given === partition) return partition
    throw new VarveError("WRONG_PARTITION", `the key belongs to partition ${partition}, not to ${given}`, {
      metadata: { partition: String(partition) },
    })
  }

  /** @throws VarveError `PARTITION_OUT_OF_RANGE` */
  checkPartition(partition: number): void {
    if (Number.isInteger(partition) && partition >= 0 && partition < this.partitionCount) return
    throw new VarveError(
      "PARTITION_OUT_OF_RANGE",
      `there is no partition ${partition}: the store ${this.#store} has ${this.partitionCount}, counted from 0`,
    )
  }

  /** @throws VarveError `VALUE_TOO_LARGE` */
  checkValueBytes(valueBytes: number): void {
    if (valueBytes <= this.valueBytesMax) return
    throw new VarveError(
      "VALUE_TOO_LARGE",
      `the value has ${valueBytes} bytes; the store ${this.#store} takes at most ${this.valueBytesMax}`,
    )
  }

  /** @param count of the records, or of the conditions @throws VarveError `BATCH_TOO_LARGE` */
  checkBatch(batchBytes: number, count: number): void {
    if (count > BATCH_RECORDS_MAX) {
      throw new VarveError(
        "BATCH_TOO_LARGE",
        `the write has ${count} records of one partition; at most ${BATCH_RECORDS_MAX} are applied all or none`,
      )
    }
    if (batchBytes <= this.batchBytesMax) return
    throw new VarveError(
      "BATCH_TOO_LARGE",
      `the records of one partition have ${batchBytes} bytes; at most ${this.batchBytesMax} are applied all or none`,
    )
  }
}

/**
 * Where a partition is reached whose daemon says `address`. Each shard of a daemon has its port; behind a wildcard it is
 * one of the host that was asked, unless the asked port is none of the daemon's: then somebody maps ports on the way, and
 * the asked one serves everything. So it is with a socket whose path is another one here, and behind a proxy to a socket.
 */
function reachableAddress(address: string, seedAddress: string, described: ReadonlySet<string>): string {
  if (address === "") return seedAddress
  if (address.startsWith("unix:") || seedAddress.startsWith("unix:")) {
    // Socket files have no host: who came by another path, or by no path, cannot go to the others.
    return described.has(seedAddress.replace(/^unix:\/\/(?=\/)/, "unix:")) ? address : seedAddress
  }
  const port = WILDCARD_HOST.exec(address)?.[1]
  if (port === undefined) return address
  const seed = HOST_AND_PORT.exec(seedAddress)
  const isMapped = ![...described].some((each) => WILDCARD_HOST.exec(each)?.[1] === seed?.[2])
  return seed === null || isMapped ? seedAddress : `${seed[1]}:${port}`
}
