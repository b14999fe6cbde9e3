// What `snapshot` asks before it makes a version: the next number, and whether the versions are a worker's.
//
// A worker that replays its input keeps in each version's metadata how far the input is in it. A version between its
// own, without metadata, takes the number that the worker takes next, and whoever starts from it starts from nowhere.

import { type StateBackendClient, VarveError } from "@varve/proto"
import type { ClientOptions } from "./command-context.ts"
import { call } from "./daemon-connection.ts"

interface PartitionsAsked extends Pick<ClientOptions, "store" | "timeout"> {
  readonly partition?: readonly number[]
}

/** One above the newest version on the current line of the partitions asked. */
export async function nextVersion(stub: StateBackendClient, asked: PartitionsAsked): Promise<number> {
  const { stores } = await call(stub.describe.bind(stub), { store: asked.store }, asked.timeout)
  const versions = (stores[0]?.partitions ?? [])
    .filter(({ partition }) => asked.partition?.includes(partition) ?? true)
    .map(({ version }) => Number(version))
  return Math.max(0, ...versions) + 1
}

/**
 * @throws (rejects) VarveError `REQUEST_INVALID`, as a daemon would refuse the call, when the newest version on the
 * current line of the partitions asked has metadata
 */
export async function checkMetadataLeftOut(stub: StateBackendClient, asked: PartitionsAsked): Promise<void> {
  const { store, partition = [], timeout } = asked
  const request = { store, partitions: [...partition] }
  const { snapshots } = await call(stub.listSnapshots.bind(stub), request, timeout)
  const current = snapshots.filter(({ currentLine }) => currentLine)
  const newest = BigInt(Math.max(0, ...current.map(({ version }) => Number(version))))
  const carrier = current.find(({ version, metadataBytes }) => version === newest && metadataBytes > 0)
  if (carrier === undefined) return
  throw new VarveError(
    "REQUEST_INVALID",
    `version ${carrier.version} of timeline ${carrier.timeline} carries metadata: a worker takes the versions of store ${store}, ` +
      "and one between its own, without metadata, would break it. " +
      "To make one all the same: --metadata TEXT, or --metadata '' for none",
  )
}
