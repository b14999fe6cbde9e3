import { DescribeResponse } from "@varve/proto"
import { expect, test } from "vitest"
import { Lineages } from "./lineages.ts"
import { MESSAGE_BYTES_DEFAULT, MESSAGE_OVERHEAD_BYTES } from "./options.ts"
import { Topology } from "./topology.ts"

function response(partitionCount: number, addresses: string[], messageBytesMax = 0n): DescribeResponse {
  const empty = DescribeResponse.decode(new Uint8Array(0))
  return {
    ...empty,
    node: { softwareVersion: "", startedMs: 0n, instance: "", messageBytesMax },
    stores: [
      {
        name: "s",
        engine: "memory",
        durability: "snapshot",
        partitionCount,
        partitions: addresses.map((address, partition) => ({
          partition,
          slotFirst: 0,
          slotLast: 0,
          address,
          recovery: "new",
          lineage: `lineage ${partition}`,
          version: 0n,
          timeline: "",
          statistics: undefined,
          metadata: new Uint8Array(0),
          metadataBytes: 0,
          ownerEpoch: 1n,
          fenced: false,
        })),
        settings: {},
        repository: "",
        valueBytesMax: 100n,
        partitioning: "hash",
        lastDrill: undefined,
      },
    ],
  }
}

test("topology: a partition is reached where the daemon says; a wildcard or nothing means where it was asked", () => {
  const addresses = ["10.0.0.1:7401", "0.0.0.0:7400", "[::]:7400", "", "unix:/run/varve"]
  const topology = new Topology(response(6, addresses), "s", "seed:7400")
  expect([0, 1, 2, 3, 4, 5].map((partition) => topology.addressOf(partition))).toEqual([
    "10.0.0.1:7401",
    "seed:7400",
    "seed:7400",
    "seed:7400",
    "seed:7400",
    undefined,
  ])
})

test("topology: behind a wildcard each shard's port is one of the host that was asked, unless ports are mapped", () => {
  const addresses = ["0.0.0.0:7400", "0.0.0.0:7401"]
  const at = (seed: string): unknown[] => {
    const topology = new Topology(response(2, addresses), "s", seed)
    return [topology.addressOf(0), topology.addressOf(1)]
  }
  expect(at("host:7400")).toEqual(["host:7400", "host:7401"])
  expect(at("[fe80::1]:7401")).toEqual(["[fe80::1]:7400", "[fe80::1]:7401"])
  expect(at("host:17400")).toEqual(["host:17400", "host:17400"])
  expect(at("unix:/run/varve")).toEqual(["unix:/run/varve", "unix:/run/varve"])
})

test("topology: a Unix socket that is reached by another name, or through something else, serves everything", () => {
  const addresses = ["unix:/run/varve", "unix:/run/varve.1"]
  const at = (seed: string, described = addresses): unknown[] => {
    const topology = new Topology(response(2, described), "s", seed)
    return [topology.addressOf(0), topology.addressOf(1)]
  }
  expect(at("unix:/run/varve.1")).toEqual(addresses)
  expect(at("unix:///run/varve")).toEqual(addresses)
  // The directory of the socket is mounted elsewhere here, or a proxy leads to it.
  expect(at("unix:/mnt/varve")).toEqual(["unix:/mnt/varve", "unix:/mnt/varve"])
  expect(at("host:7400")).toEqual(["host:7400", "host:7400"])
  expect(at("unix:/mnt/varve", ["127.0.0.1:7400", "127.0.0.1:7401"])).toEqual([
    "unix:/mnt/varve",
    "unix:/mnt/varve",
  ])
})

test("topology: frames keep below the daemon's message limit, or below gRPC's own when it tells none", () => {
  expect(new Topology(response(1, []), "s", "a").batchBytesMax).toBe(
    MESSAGE_BYTES_DEFAULT - MESSAGE_OVERHEAD_BYTES,
  )
  const small = new Topology(response(1, [], 200_000n), "s", "a")
  expect([small.batchBytesMax, small.frameBytesMax]).toEqual([198_976, 198_976])
})

test("topology: a store that is not there, or partitions beyond the slots, are refused", () => {
  expect(() => new Topology(response(1, []), "other", "a:1")).toThrow('no store "other"')
  for (const count of [0, 16_385]) {
    expect(() => new Topology(response(count, []), "s", "a:1")).toThrow(`${count} partitions`)
  }
})

test("lineages: what was found first stays, until this client restores", () => {
  const lineages = new Lineages()
  lineages.learn(new Map([[0, "a"]]))
  lineages.learn(
    new Map([
      [0, "b"],
      [1, "c"],
    ]),
  )
  expect([lineages.of(0), lineages.of(1), lineages.of(2)]).toEqual(["a", "c", ""])
  lineages.adopt(new Map([[0, "d"]]))
  expect(lineages.toMessage([])).toEqual({ 0: "d", 1: "c" })
  expect(lineages.toMessage([1])).toEqual({ 1: "c" })
})
