// The contract's calls as promises, on the generated stubs: tests of the daemon see exactly what goes over the wire.

import { type CallOptions, credentials, type ServiceError } from "@grpc/grpc-js"
import {
  type DeleteRequest,
  type DeleteSnapshotRequest,
  type DescribeRequest,
  type DescribeResponse,
  encodeKeys,
  encodeRecords,
  type GetManyRequest,
  type GetManyResponse,
  type GetRequest,
  type GetResponse,
  type KeyValue,
  type ListSnapshotsRequest,
  type ListSnapshotsResponse,
  type PinSnapshotRequest,
  type PipelineRequest,
  type PipelineResponse,
  RecordWriter,
  type RestoreRequest,
  type RestoreResponse,
  type ScanRequest,
  type ScanResponse,
  type SetRequest,
  type SnapshotRequest,
  type SnapshotResponse,
  StateBackendClient,
  type StateBackendService,
  UNSEQUENCED,
  type VarveError,
  varveErrorOf,
  type WriteRequest,
  type WriteResponse,
} from "@varve/proto"

const CALL_MS = 20_000
const empty = new Uint8Array(0)

export const bytes = (text: string): Buffer => Buffer.from(text, "utf8")

type Unary<Request, Response> = (
  request: Request,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown

export class RawClient {
  readonly stub: StateBackendClient

  constructor(address: string) {
    this.stub = new StateBackendClient(address, credentials.createInsecure(), {
      "grpc.enable_http_proxy": 0,
      "grpc.max_receive_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
    })
  }

  async get(key: Uint8Array, request: Partial<GetRequest> = {}): Promise<Uint8Array | undefined> {
    const { found, value } = await this.#call<GetRequest, GetResponse>("get", { store: "", key, ...request })
    return found ? value : undefined
  }

  async set(key: Uint8Array, value: Uint8Array, request: Partial<SetRequest> = {}): Promise<void> {
    await this.#call<SetRequest, unknown>("set", { store: "", key, value, ...request })
  }

  async delete(key: Uint8Array, request: Partial<DeleteRequest> = {}): Promise<void> {
    await this.#call<DeleteRequest, unknown>("delete", { store: "", key, ...request })
  }

  async getMany(
    keys: Uint8Array[],
    request: Partial<GetManyRequest> = {},
  ): Promise<(Uint8Array | undefined)[]> {
    const { values } = await this.#call<GetManyRequest, GetManyResponse>("getMany", {
      store: "",
      keys,
      ...request,
    })
    return values.map(({ found, value }) => (found ? value : undefined))
  }

  async write(records: KeyValue[], request: Partial<WriteRequest> = {}): Promise<number> {
    return (
      await this.#call<WriteRequest, WriteResponse>("write", {
        store: "",
        records,
        expected: [],
        ...request,
      })
    ).records
  }

  snapshot(version: number | bigint, request: Partial<SnapshotRequest> = {}): Promise<SnapshotResponse> {
    const message = {
      store: "",
      partitions: [],
      version: BigInt(version),
      metadata: empty,
      lineages: {},
      ...request,
    }
    return this.#call<SnapshotRequest, SnapshotResponse>("snapshot", message)
  }

  restore(request: Partial<RestoreRequest> = {}): Promise<RestoreResponse> {
    return this.#call<RestoreRequest, RestoreResponse>("restore", {
      store: "",
      partitions: [],
      timeline: "",
      replaced: "",
      fallback: "",
      mode: "",
      ...request,
    })
  }

  async listSnapshots(store = "", partitions: number[] = []): Promise<ListSnapshotsResponse["snapshots"]> {
    return (
      await this.#call<ListSnapshotsRequest, ListSnapshotsResponse>("listSnapshots", { store, partitions })
    ).snapshots
  }

  async deleteSnapshot(version: number, request: Partial<DeleteSnapshotRequest> = {}): Promise<void> {
    await this.#call<DeleteSnapshotRequest, unknown>("deleteSnapshot", {
      store: "",
      version: BigInt(version),
      timeline: "",
      ...request,
    })
  }

  async pinSnapshot(
    version: number,
    pinned: boolean,
    request: Partial<PinSnapshotRequest> = {},
  ): Promise<void> {
    await this.#call<PinSnapshotRequest, unknown>("pinSnapshot", {
      store: "",
      version: BigInt(version),
      timeline: "",
      pinned,
      name: "",
      ...request,
    })
  }

  describe(store = ""): Promise<DescribeResponse> {
    return this.#call<DescribeRequest, DescribeResponse>("describe", { store })
  }

  async scan(request: Partial<ScanRequest> = {}): Promise<ScanResponse[]> {
    const full = {
      store: "",
      prefix: empty,
      start: empty,
      end: empty,
      keysOnly: false,
      limit: 0n,
      ...request,
    }
    const pages: ScanResponse[] = []
    try {
      for await (const page of this.stub.scan(full)) pages.push(page as ScanResponse)
    } catch (error) {
      throw varveErrorOf(error as ServiceError)
    }
    return pages
  }

  /** Sends frames on one pipeline, ends it, and resolves the answers in the order in which they came. */
  async pipeline(frames: readonly Partial<PipelineRequest>[]): Promise<PipelineResponse[]> {
    const call = this.stub.pipeline({ deadline: Date.now() + CALL_MS })
    const answers: PipelineResponse[] = []
    call.on("data", (answer: PipelineResponse) => answers.push(answer))
    const done = new Promise<void>((resolve, reject) => {
      call.on("end", resolve)
      call.on("error", (error) => reject(varveErrorOf(error as ServiceError)))
    })
    for (const [id, frame] of frames.entries()) {
      call.write({ id, store: "", partition: 0, lineage: "", ...UNSEQUENCED, work: undefined, ...frame })
    }
    call.end()
    await done
    return answers
  }

  close(): void {
    this.stub.close()
  }

  #call<Request, Response>(name: UnaryName, request: Request): Promise<Response> {
    return new Promise((resolve, reject) => {
      const method = (this.stub[name] as unknown as Unary<Request, Response>).bind(this.stub)
      method(request, { deadline: Date.now() + CALL_MS }, (error, response) =>
        error === null ? resolve(response) : reject(varveErrorOf(error)),
      )
    })
  }
}

type UnaryName = Exclude<keyof typeof StateBackendService, "scan" | "pipeline">

export const reads = (...keys: string[]): PipelineRequest["work"] => ({
  $case: "reads",
  value: encodeKeys(keys.map(bytes)),
})

type TextRecords = readonly (readonly [string, string])[]

const encoded = (records: TextRecords): Uint8Array =>
  encodeRecords(records.map(([key, value]) => ({ key: bytes(key), value: bytes(value) })))

export const writes = (...records: TextRecords): { $case: "writes"; value: Uint8Array } => ({
  $case: "writes",
  value: encoded(records),
})

/** Keys to read, given alone, and records to write. */
export const operations = (...list: readonly (readonly [string, string?])[]): PipelineRequest["work"] => {
  const writer = new RecordWriter()
  for (const [key, value] of list) {
    if (value === undefined) writer.addRead(bytes(key))
    else writer.add(bytes(key), bytes(value))
  }
  return { $case: "operations", value: writer.take() }
}

/** Records to write if others are as expected. */
export const conditionalWrites = (records: TextRecords, expected: TextRecords): PipelineRequest["work"] => ({
  $case: "conditionalWrites",
  value: { records: encoded(records), expected: encoded(expected) },
})

/** Asserts in one go: the call fails, with this reason. */
export async function failsWith(reason: string, call: Promise<unknown>): Promise<VarveError> {
  try {
    await call
  } catch (error) {
    if ((error as VarveError).reason === reason) return error as VarveError
    throw error
  }
  throw new Error(`the call succeeded; it should fail with ${reason}`)
}
