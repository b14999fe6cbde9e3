// A small daemon of the contract for the client's tests: one store in memory, a real gRPC server on loopback. Tests
// look at every frame that arrives, decide what becomes of it, cut the connections and bring the daemon back.

import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js"
import {
  type DeleteSnapshotRequest,
  type DescribeResponse,
  decodeKeys,
  decodeRecords,
  encodeValues,
  type OperationError,
  type OperationResults,
  type PinSnapshotRequest,
  type PipelineRequest,
  type PipelineResponse,
  partitionOfKey,
  type RestoreRequest,
  type RestoreResponse,
  type ScanRequest,
  type ScanResponse,
  type SnapshotRequest,
  type SnapshotResponse,
  type StateBackendServer,
  StateBackendService,
  slotRange,
  VarveError,
} from "@varve/proto"
import { failure, notHere, statusOf, summary } from "./memory-answers.ts"
import { type Operation, operationsOf } from "./memory-frames.ts"

/** What becomes of a frame: the usual, no answer though it was applied, no answer and not applied, or an error. */
export type FrameFate = "answer" | "apply" | "hold" | VarveError

export interface MemoryDaemonOptions {
  partitionCount?: number
  partitioning?: "hash" | "explicit"
  valueBytesMax?: number
  messageBytesMax?: number
  /** Leaves lineages out of restore's answer. */
  silentRestore?: boolean
}

interface Version {
  readonly contents: Map<string, Buffer>[]
  readonly metadata: Uint8Array
}

export class MemoryDaemon {
  /** Frames in the order of arrival, since the daemon was made. */
  readonly frames: PipelineRequest[] = []
  /** Names of the unary calls, in the order of arrival. */
  readonly calls: string[] = []
  /** Decides about each frame. */
  onFrame: (frame: PipelineRequest) => FrameFate = () => "answer"
  /** Runs before each operation of a frame: what it throws fails that one. */
  onOperation: (operation: Pick<Operation, "isRead" | "key">) => void = () => undefined
  /** Why no writes among operations are taken. */
  writesError: VarveError | undefined
  /** Runs before each unary call: what it throws is answered; it may take its time. */
  onCall: (name: string) => void | Promise<void> = () => undefined
  port = 0
  /** Where `Describe` says that partitions are; undefined: here. */
  elsewhere: string | undefined
  readonly #options: Required<MemoryDaemonOptions>
  readonly #versions = new Map<number, Version>()
  /** What came of each frame of a session that did not fail, for good: nobody takes so many here. */
  readonly #outcomes = new Map<string, PipelineResponse["result"]>()
  #contents: Map<string, Buffer>[]
  #lineages: string[]
  #lineageCount = 0
  #server: Server | undefined

  constructor(options: MemoryDaemonOptions = {}) {
    this.#options = {
      partitionCount: 4,
      partitioning: "hash",
      valueBytesMax: 4 * 1024 * 1024,
      messageBytesMax: 8 * 1024 * 1024,
      silentRestore: false,
      ...options,
    }
    this.#contents = Array.from({ length: this.#options.partitionCount }, () => new Map())
    this.#lineages = this.#newLineages()
  }

  static async started(options?: MemoryDaemonOptions): Promise<MemoryDaemon> {
    const daemon = new MemoryDaemon(options)
    await daemon.start()
    return daemon
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Listens: on a free port the first time, on the same one later. */
  start(): Promise<void> {
    const server = new Server({ "grpc.max_receive_message_length": this.#options.messageBytesMax })
    server.addService(StateBackendService, this.#handlers())
    this.#server = server
    return new Promise((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${this.port}`, ServerCredentials.createInsecure(), (error, port) => {
        this.port = port
        if (error === null) resolve()
        else reject(error)
      })
    })
  }

  /** Cuts all connections and listens no more. What is in memory stays. */
  stop(): void {
    this.#server?.forceShutdown()
    this.#server = undefined
  }

  async restart(): Promise<void> {
    this.stop()
    await this.start()
  }

  /** Puts a version back as somebody else would, or as after a crash. */
  rollBack(version: number): void {
    const { contents } = this.#version(version)
    this.#contents = contents.map((content) => new Map(content))
    this.#lineages = this.#newLineages()
  }

  /** The value of a key in the memory of the daemon. */
  valueOf(
    key: string,
    partition = partitionOfKey(Buffer.from(key), this.#options.partitionCount),
  ): string | undefined {
    return this.#contents[partition]?.get(Buffer.from(key).toString("latin1"))?.toString()
  }

  #handlers(): StateBackendServer {
    return {
      pipeline: (stream: ServerDuplexStream<PipelineRequest, PipelineResponse>) => {
        // A stream that the client cut is the client's matter.
        stream.on("error", () => stream.end())
        stream.on("data", (frame: PipelineRequest) => {
          this.frames.push(frame)
          const fate = this.onFrame(frame)
          if (fate === "hold") return
          const response = {
            id: frame.id,
            result: fate instanceof VarveError ? failure(fate) : this.#applyOnce(frame),
          }
          if (fate !== "apply") stream.write(response)
        })
        stream.on("end", () => stream.end())
      },
      describe: this.#unary("describe", () => this.#describe()),
      snapshot: this.#unary("snapshot", (request: SnapshotRequest) => this.#snapshot(request)),
      restore: this.#unary("restore", (request: RestoreRequest) => this.#restore(request)),
      listSnapshots: this.#unary("listSnapshots", () => ({
        snapshots: [...this.#versions].map(([version, { metadata }]) => summary(version, metadata)),
      })),
      deleteSnapshot: this.#unary("deleteSnapshot", ({ version }: DeleteSnapshotRequest) => {
        this.#version(Number(version))
        this.#versions.delete(Number(version))
        return {}
      }),
      pinSnapshot: this.#unary("pinSnapshot", ({ version }: PinSnapshotRequest) => {
        this.#version(Number(version))
        return {}
      }),
      scan: (stream: ServerWritableStream<ScanRequest, ScanResponse>) => {
        const { partition, prefix, limit } = stream.request
        let left = limit === 0n ? Number.POSITIVE_INFINITY : Number(limit)
        this.#contents.forEach((content, index) => {
          if (partition !== undefined && partition !== index) return
          for (const [key, value] of content) {
            const bytes = Buffer.from(key, "latin1")
            if (!bytes.subarray(0, prefix.length).equals(prefix) || left-- <= 0) continue
            stream.write({ partition: index, records: [{ key: bytes, value }] })
          }
        })
        stream.end()
      },
      get: this.#unary("get", () => notHere()),
      set: this.#unary("set", () => notHere()),
      delete: this.#unary("delete", () => notHere()),
      getMany: this.#unary("getMany", () => notHere()),
      write: this.#unary("write", () => notHere()),
      pruneSnapshots: this.#unary("pruneSnapshots", () => notHere()),
      collectGarbage: this.#unary("collectGarbage", () => notHere()),
      whyKept: this.#unary("whyKept", () => notHere()),
      drillStore: this.#unary("drillStore", () => notHere()),
    }
  }

  #unary<Request, Response>(name: string, handle: (request: Request) => Response) {
    return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
      this.calls.push(name)
      const run = async (): Promise<Response> => {
        await this.onCall(name)
        return handle(call.request)
      }
      run().then(
        (response) => callback(null, response),
        (error) => callback(statusOf(error)),
      )
    }
  }

  #applyOnce(frame: PipelineRequest): PipelineResponse["result"] {
    if (frame.session.length === 0) return this.#apply(frame)
    const name = `${Buffer.from(frame.session).toString("hex")}/${frame.partition}/${frame.sequence}`
    const known = this.#outcomes.get(name)
    if (known !== undefined) return known
    const result = this.#apply(frame)
    if (result?.$case !== "error") this.#outcomes.set(name, result)
    return result
  }

  #apply({ partition, work, lineage }: PipelineRequest): PipelineResponse["result"] {
    try {
      const content = this.#contents[partition]
      if (content === undefined) throw new VarveError("PARTITION_OUT_OF_RANGE", `no partition ${partition}`)
      if (lineage !== "" && lineage !== this.#lineages[partition]) {
        throw new VarveError("STATE_REPLACED", "the state was replaced")
      }
      if (work?.$case === "writes" || work?.$case === "conditionalWrites") {
        const { records: batch, expected } =
          work.$case === "writes" ? { records: work.value, expected: new Uint8Array(0) } : work.value
        for (const { key, value } of decodeRecords(expected)) {
          this.#checkPartition(key, partition)
          const present = content.get(Buffer.from(key).toString("latin1")) ?? Buffer.alloc(0)
          if (!present.equals(value)) throw new VarveError("CONDITION_FAILED", "not as expected")
        }
        const records = decodeRecords(batch)
        for (const { key, value } of records) {
          this.#checkPartition(key, partition)
          const name = Buffer.from(key).toString("latin1")
          if (value.length === 0) content.delete(name)
          else content.set(name, Buffer.from(value))
        }
        return { $case: "written", value: records.length }
      }
      if (work?.$case === "operations") {
        return { $case: "operations", value: this.#mix(content, partition, work.value) }
      }
      if (work?.$case !== "reads") throw new VarveError("FRAME_MALFORMED", "no work")
      const values = decodeKeys(work.value).map((key) => {
        this.#checkPartition(key, partition)
        return content.get(Buffer.from(key).toString("latin1"))
      })
      const list = encodeValues(values)
      if (list.length > this.#options.messageBytesMax)
        throw new VarveError("MESSAGE_TOO_LARGE", "too many values")
      return { $case: "values", value: list }
    } catch (error) {
      if (error instanceof VarveError) return failure(error)
      throw error
    }
  }

  #mix(content: Map<string, Buffer>, partition: number, list: Uint8Array): OperationResults {
    const values: (Buffer | undefined)[] = []
    const errors: OperationError[] = []
    let written = 0
    operationsOf(list).forEach(({ isRead, key, value }, index) => {
      const name = Buffer.from(key).toString("latin1")
      try {
        this.#checkPartition(key, partition)
        this.onOperation({ isRead, key })
        if (isRead) values.push(content.get(name))
        else if (this.writesError === undefined) {
          written++
          if (value.length === 0) content.delete(name)
          else content.set(name, Buffer.from(value))
        }
      } catch (error) {
        if (!(error instanceof VarveError)) throw error
        const { code, reason, message } = error
        errors.push({ index, error: { code, reason, message } })
        if (isRead) values.push(undefined)
      }
    })
    let fits = values.length
    while (encodeValues(values.slice(0, fits)).length > this.#options.messageBytesMax) fits--
    const { writesError } = this
    return { values: encodeValues(values.slice(0, fits)), written, errors, writesError }
  }

  #checkPartition(key: Uint8Array, partition: number): void {
    if (this.#options.partitioning === "explicit") return
    if (partitionOfKey(key, this.#options.partitionCount) !== partition) {
      throw new VarveError("WRONG_PARTITION", "the key belongs elsewhere")
    }
  }

  #describe(): DescribeResponse {
    const { partitionCount, partitioning, valueBytesMax, messageBytesMax } = this.#options
    return {
      node: {
        softwareVersion: "0",
        startedMs: 0n,
        instance: "test",
        messageBytesMax: BigInt(messageBytesMax),
      },
      stores: [
        {
          name: "default",
          engine: "memory",
          durability: "snapshot",
          partitionCount,
          partitions: this.#lineages.map((lineage, partition) => ({
            partition,
            slotFirst: slotRange(partition, partitionCount).first,
            slotLast: slotRange(partition, partitionCount).last,
            address: this.elsewhere ?? this.address,
            recovery: "new",
            lineage,
            version: 0n,
            timeline: "",
            statistics: undefined,
            metadata: new Uint8Array(0),
            metadataBytes: 0,
            ownerEpoch: 1n,
            fenced: false,
          })),
          settings: { color: "grey" },
          repository: "memory:",
          valueBytesMax: BigInt(valueBytesMax),
          partitioning,
          lastDrill: undefined,
        },
      ],
    }
  }

  #snapshot(request: SnapshotRequest): SnapshotResponse {
    for (const [partition, lineage] of Object.entries(request.lineages)) {
      if (this.#lineages[Number(partition)] !== lineage)
        throw new VarveError("STATE_REPLACED", "it was replaced")
    }
    const version = Number(request.version)
    if (this.#versions.has(version))
      throw new VarveError("VERSION_NOT_ASCENDING", `${version} is there already`)
    const contents = this.#contents.map((content) => new Map(content))
    this.#versions.set(version, { contents, metadata: Buffer.from(request.metadata) })
    return {
      version: request.version,
      timeline: "t",
      bytesNew: 5n,
      bytesReused: 0n,
      chunksNew: 1n,
      chunksReused: 0n,
      sealSeconds: 0.001,
      totalSeconds: 0.002,
      partitions: this.#lineages.map((_lineage, partition) => partition),
      complete: true,
    }
  }

  #restore(request: RestoreRequest): RestoreResponse {
    const version =
      request.version === undefined ? Math.max(...this.#versions.keys()) : Number(request.version)
    this.rollBack(version)
    return {
      version: BigInt(version),
      timeline: "t",
      metadata: this.#version(version).metadata,
      replaced: "r",
      partitions: this.#lineages.map((_lineage, partition) => partition),
      totalSeconds: 0.1,
      lineages: this.#options.silentRestore ? {} : { ...this.#lineages },
      skipped: [],
      converted: false,
    }
  }

  #version(version: number): Version {
    const found = this.#versions.get(version)
    if (found === undefined) throw new VarveError("SNAPSHOT_NOT_FOUND", `there is no version ${version}`)
    return found
  }

  #newLineages(): string[] {
    this.#lineageCount++
    return this.#contents.map((_content, partition) => `lineage-${this.#lineageCount}-${partition}`)
  }
}
