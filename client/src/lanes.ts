// The lanes of a client, one a partition, and the connections that they go over, one an address.

import type { Connection } from "./connection.ts"
import { Fifo } from "./fifo.ts"
import type { Lane } from "./lane.ts"
import type { Topology } from "./topology.ts"

export class Lanes {
  /** Of the address that the caller gave. */
  readonly seed: Connection
  readonly #connect: (address: string) => Connection
  readonly #connections = new Map<string, Connection>()
  readonly #lanes: (Lane | undefined)[] = []

  constructor(connect: (address: string) => Connection, seedAddress: string) {
    this.#connect = connect
    this.seed = this.#connectionTo(seedAddress)
  }

  get connections(): Iterable<Connection> {
    return this.#connections.values()
  }

  /** The way to a partition. */
  laneOf(topology: Topology, partition: number): Lane {
    const lane = this.#lanes[partition]
    if (lane !== undefined && lane.frameCount > 0) return lane
    const connection = this.connectionOf(topology, partition)
    if (lane !== undefined) {
      lane.connection = connection
      return lane
    }
    const created: Lane = {
      partition,
      connection,
      openFrame: undefined,
      waiting: new Fifo(),
      frameCount: 0,
      handedOver: 0,
      lastSequence: 0,
      unanswered: [],
    }
    this.#lanes[partition] = created
    return created
  }

  /** Frames whose connection is not open follow their partition to where it is now. */
  moveFrames(topology: Topology): void {
    for (const lane of this.#lanes.slice(0, topology.partitionCount)) {
      if (lane === undefined || lane.frameCount === 0 || lane.connection.isOpen) continue
      const connection = this.connectionOf(topology, lane.partition)
      if (connection === lane.connection) continue
      const frames = lane.connection.release(lane)
      lane.connection = connection
      for (const frame of frames) connection.send(frame)
    }
  }

  connectionOf(topology: Topology, partition: number): Connection {
    const address = topology.addressOf(partition)
    return address === undefined ? this.seed : this.#connectionTo(address)
  }

  #connectionTo(address: string): Connection {
    const present = this.#connections.get(address)
    if (present !== undefined) return present
    const created = this.#connect(address)
    this.#connections.set(address, created)
    return created
  }
}
