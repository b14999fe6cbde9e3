// A stored run that is served while it is still being fetched. Its file here has its full length from the beginning,
// and holes where chunks have not come yet; which have is kept in memory only.
//
//   start    <path>.part, all holes ── the index part of the run comes first ── the run can be opened
//   read     chunk here? from the file.  in the slice? wait a little.  else fetch it (chunk-reader), answer, write it
//   fill     slice after slice of what is missing, by a job (fill-run) ── all here: sync, rename to <path>
//
//   missing ──► asked for by a reader ──► here          damaged: the repository's bytes are not the chunk's;
//      └──────► in the slice that is filled ──► here             its readers get DATA_LOSS, others go on
//
// Little is fetched twice: a slice leaves out what readers have asked for, and is as long as takes SLICE_MS; a reader of
// what it brings waits for that time. What an earlier process has left in <path>.part counts as far as its hashes are
// right, so nothing about it has to be remembered on disk.

import { dirname } from "node:path"
import { EngineError, isEngineError } from "../base/error.ts"
import type { File, ReadableFile } from "../io/file-system.ts"
import { ARRIVING_SUFFIX, type Arrival } from "../runs/arrival.ts"
import type { RunFigures } from "../runs/run.ts"
import type { ArrivalHost } from "./arrival-host.ts"
import { type ChunkState, ChunkStates, chunkStates } from "./chunk-states.ts"
import { Completion } from "./completion.ts"
import { type Filled, fillChunks, fillRun } from "./fill-run.ts"
import { RunChunks } from "./run-chunks.ts"
import { copyChunk } from "./stored-run-file.ts"

/** Chunks of one read that are held at a time. */
const READ_BYTES = 1024 * 1024
/** Bytes that were read and wait to be written; what is more is not kept, and fetched again by the fill. */
const WRITES_BYTES_MAX = 16 * 1024 * 1024
/** Longer chunks are not looked for in the file when they are read: hashing them would hold the thread. */
const FIND_BYTES_MAX = 1024 * 1024
/** How long a slice is to take, and a reader waits for it; and the bytes of a slice. */
const SLICE_MS = 50
const SLICE_BYTES_MIN = 256 * 1024
const SLICE_BYTES_MAX = 16 * 1024 * 1024
/** The first slice waits until the state is open: its thread would take the time from whoever waits for that. */
const START_MS = 100
/** Index parts up to this length are brought without a job: that takes less than it takes to start a thread. */
const START_HERE_BYTES_MAX = 8 * 1024 * 1024
/** Until a fill that failed is tried again: twice as long each time. */
const RETRY_MS_MIN = 1000
const RETRY_MS_MAX = 60_000

export class ArrivingRun implements Arrival {
  readonly file: ReadableFile
  readonly #host: ArrivalHost
  readonly #path: string
  readonly #id: string
  readonly #chunks: RunChunks
  readonly #states: ChunkStates
  #part: File
  /** Files whose sync failed; readers may still be in them. */
  readonly #given: File[] = []
  /** Chunks before this one may be in the file although they do not count as here. */
  #foundBelow: number
  #isRenamed = false
  readonly #completion = new Completion()
  /** The slice that is being filled; `done` never rejects. */
  #slice: { readonly from: number; readonly to: number; readonly done: Promise<void> } | undefined
  /** Chunks that readers have asked for, until they are written; they never reject. */
  readonly #asked = new Set<Promise<void>>()
  #bytesToWrite = 0
  #starting: Promise<void> | undefined
  #filling: Promise<void> | undefined
  readonly #closing = new AbortController()
  /** Why the last chunk that is damaged counts as that. */
  #damage: EngineError | undefined
  /** Bytes that were damaged when that was last told. */
  #bytesWarned = 0

  private constructor(
    host: ArrivalHost,
    run: { readonly id: string; readonly path: string; readonly chunks: RunChunks },
    part: File,
    isResumed: boolean,
  ) {
    this.#host = host
    this.#id = run.id
    this.#path = run.path
    this.#chunks = run.chunks
    this.#states = new ChunkStates(run.chunks)
    this.#part = part
    this.#foundBelow = isResumed ? run.chunks.count : 0
    this.file = {
      read: (target, offset) => this.#read(target, offset),
      size: async () => run.chunks.end,
      close: () => this.#close(),
    }
  }

  /**
   * Brings what opening the run takes, everything behind its records, and begins to fetch the rest.
   * @param path where the whole run is to be; nothing is there
   * @throws (rejects) EngineError `DATA_LOSS` naming the pack, `REPOSITORY_FAILED`, `STORAGE_FULL`, `STORAGE_FAILED`;
   * nothing is open then
   */
  static async start(
    host: ArrivalHost,
    figures: RunFigures,
    chunks: RunChunks,
    path: string,
  ): Promise<ArrivingRun> {
    const { fileSystem } = host
    const left = await fileSystem.open(path + ARRIVING_SUFFIX, "edit")
    const part = left ?? (await fileSystem.open(path + ARRIVING_SUFFIX, "create"))
    const arriving = new ArrivingRun(host, { id: figures.id, path, chunks }, part, left !== undefined)
    try {
      await part.truncate(chunks.end)
      const first = chunks.at(figures.recordsBytes)
      const isShort = chunks.end - chunks.start(first) <= START_HERE_BYTES_MAX
      const damage = await arriving.#bring(first, chunks.count, isShort ? "here" : "by job")
      if (damage !== undefined) throw damage
    } catch (error) {
      await arriving.#close()
      throw error
    }
    arriving.#starting = host.clock.sleep(START_MS, arriving.#closing.signal).then(() => arriving.#start())
    return arriving
  }

  get isWhole(): boolean {
    return this.#completion.isDone
  }

  get bytesLocal(): number {
    return this.#states.bytesIn(chunkStates.here)
  }

  get bytesDamaged(): number {
    return this.#states.bytesIn(chunkStates.damaged)
  }

  whole(): Promise<void> {
    return this.#completion.done
  }

  complete(): Promise<void> {
    for (const index of this.#states.in(chunkStates.damaged)) this.#states.set(index, chunkStates.missing)
    this.#start()
    return this.#completion.next()
  }

  #read(target: Uint8Array, offset: number): Promise<number> {
    return this.isWhole ? this.#part.read(target, offset) : this.#readPieces(target, offset)
  }

  async #readPieces(target: Uint8Array, offset: number): Promise<number> {
    const end = Math.min(offset + target.length, this.#chunks.end)
    for (let at = offset; at < end; ) {
      const first = this.#chunks.at(at)
      const last = this.#chunks.at(Math.min(at + READ_BYTES, end) - 1)
      const pieceEnd = Math.min(end, this.#chunks.start(last + 1))
      const piece = target.subarray(at - offset, pieceEnd - offset)
      let part: File
      do {
        part = this.#part
        await this.#readChunks(part, first, last + 1, piece, at)
      } while (part !== this.#part)
      at = pieceEnd
    }
    return Math.max(0, end - offset)
  }

  /** Fills `target` with the bytes of the run from `offset` on, which are in chunks `[from, to)`. */
  async #readChunks(part: File, from: number, to: number, target: Uint8Array, offset: number): Promise<void> {
    await this.#sliceOver(from, to)
    await this.#findLeft(part, from, Math.min(to, this.#foundBelow))
    const absent = this.#states.absent(from, to)
    const fetched = absent.length === 0 ? [] : await this.#fetch(absent)
    if (absent.length < to - from && (await part.read(target, offset)) < target.length) {
      throw new EngineError("STORAGE_FAILED", `${this.#path}${ARRIVING_SUFFIX} became shorter`)
    }
    for (const [i, index] of absent.entries()) {
      copyChunk(fetched[i]!, this.#chunks.start(index), target, offset)
    }
  }

  /** Waits for the slice that brings some of these chunks, but not for long: its job may not have a thread yet. */
  async #sliceOver(from: number, to: number): Promise<void> {
    const slice = this.#slice
    if (slice === undefined) return
    if (this.#states.missing(Math.max(from, slice.from), Math.min(to, slice.to)).length === 0) return
    const over = new AbortController()
    await Promise.race([slice.done, this.#host.clock.sleep(SLICE_MS, over.signal)])
    over.abort()
  }

  /** Looks for missing chunks of `[from, to)` that an earlier process, or a slice that failed, has left in the file. */
  async #findLeft(part: File, from: number, to: number): Promise<void> {
    for (const index of this.#states.missing(from, to)) {
      const bytes = this.#chunks.bytesOf(index)
      if (bytes > FIND_BYTES_MAX) continue
      const left = new Uint8Array(bytes)
      await part.read(left, this.#chunks.start(index))
      const isLeft = this.#chunks.isChunk(index, left) && part === this.#part
      if (isLeft && this.#states.of(index) === chunkStates.missing) this.#states.set(index, chunkStates.here)
    }
  }

  /** Fetches chunks for a reader; they are written behind its back. */
  async #fetch(absent: readonly number[]): Promise<Uint8Array[]> {
    const read = this.#host.reader.read(this.#chunks, absent)
    for (const [i, index] of absent.entries()) {
      if (this.#states.of(index) === chunkStates.asked) continue
      const kept = this.#keep(index, read[i]!).finally(() => this.#asked.delete(kept))
      this.#asked.add(kept)
    }
    return Promise.all(read)
  }

  /** Waits for a chunk and writes it. Never rejects: what became of the chunk is in its state. */
  async #keep(index: number, read: Promise<Uint8Array>): Promise<void> {
    const before = this.#states.of(index)
    this.#states.set(index, chunkStates.asked)
    let state: ChunkState = before
    let damage: EngineError | undefined
    try {
      state = await this.#write(index, await read)
    } catch (error) {
      if (isEngineError(error, "DATA_LOSS")) damage = error
    }
    // A slice that was under way may have brought it meanwhile.
    if (this.#states.of(index) === chunkStates.asked) {
      this.#states.set(index, damage === undefined ? state : chunkStates.damaged)
    }
    if (damage !== undefined && before !== chunkStates.damaged) this.#warnOfDamage(damage)
    this.#start()
  }

  /** Writes a chunk to its place if there is room. @returns its state */
  async #write(index: number, chunk: Uint8Array): Promise<ChunkState> {
    if (this.#bytesToWrite > 0 && this.#bytesToWrite + chunk.length > WRITES_BYTES_MAX)
      return chunkStates.missing
    const part = this.#part
    this.#bytesToWrite += chunk.length
    try {
      await part.write(chunk, this.#chunks.start(index))
      return part === this.#part ? chunkStates.here : chunkStates.missing
    } catch (error) {
      if (!isEngineError(error, "STORAGE_FULL")) {
        this.#host.warn(`a chunk of run ${this.#id} could not be written and will be fetched again`, error)
      }
      return chunkStates.missing
    } finally {
      this.#bytesToWrite -= chunk.length
    }
  }

  /** Brings what is missing of chunks `[from, to)`. @returns what is wrong with those that it cannot bring */
  async #bring(from: number, to: number, how: "here" | "by job"): Promise<EngineError | undefined> {
    const { executor, url, objectStore } = this.#host
    const wanted = this.#states.missing(from, to)
    if (wanted.length === 0) return undefined
    const isSkipped = new Uint8Array(to - from).fill(1)
    for (const index of wanted) isSkipped[index - from] = 0
    const input = {
      url,
      stretch: this.#chunks.stretch(from, to),
      path: this.#path + ARRIVING_SUFFIX,
      isSkipped,
      isResumed: from < this.#foundBelow,
    }
    let filled: Filled
    try {
      filled =
        how === "here"
          ? await fillChunks(objectStore, new RunChunks(input.stretch), this.#part, input)
          : await executor.run(fillRun, input, [], this.#closing.signal)
    } catch (error) {
      // Some may have come before it failed.
      this.#foundBelow = Math.max(this.#foundBelow, to)
      throw error
    }
    for (const index of wanted) {
      if (filled.isHere[index - from] === 1) this.#states.set(index, chunkStates.here)
      else if (this.#states.of(index) !== chunkStates.asked) this.#states.set(index, chunkStates.damaged)
    }
    const [first] = filled.damage
    return first === undefined ? undefined : new EngineError("DATA_LOSS", first)
  }

  #start(): void {
    if (this.#filling !== undefined || this.#closing.signal.aborted || this.isWhole) return
    this.#filling = this.#fill().finally(() => {
      this.#filling = undefined
    })
  }

  /** Never rejects. Ends when the run is whole, when nothing but damaged chunks is absent, or when it is closed. */
  async #fill(): Promise<void> {
    let retryMs = RETRY_MS_MIN
    while (!this.#closing.signal.aborted) {
      try {
        await this.#fillMissing()
        if (this.bytesLocal === this.#chunks.end) return await this.#publish()
        if (this.#asked.size === 0) return this.#completion.fail(this.#damage)
        await Promise.race(this.#asked)
        retryMs = RETRY_MS_MIN
      } catch (error) {
        if (this.#closing.signal.aborted) return
        this.#completion.fail(error)
        this.#host.warn(
          `run ${this.#id} is not whole yet: fetching it is tried again in ${retryMs} ms`,
          error,
        )
        await this.#host.clock.sleep(retryMs, this.#closing.signal, "idle")
        retryMs = Math.min(2 * retryMs, RETRY_MS_MAX)
      }
    }
  }

  /** Fills slice after slice until nothing is missing that no reader has asked for. */
  async #fillMissing(): Promise<void> {
    const { clock, lane } = this.#host
    let sliceBytes = SLICE_BYTES_MIN
    for (;;) {
      const turn = lane.enter()
      if (turn !== undefined) await turn
      try {
        this.#closing.signal.throwIfAborted()
        const from = this.#states.firstMissing()
        if (from < 0) return
        const startedMs = clock.monotonicMs()
        await this.#fillSlice(from, this.#chunks.endWithin(from, sliceBytes))
        const ms = clock.monotonicMs() - startedMs
        if (ms < SLICE_MS / 2) sliceBytes = Math.min(2 * sliceBytes, SLICE_BYTES_MAX)
        else if (ms > SLICE_MS) sliceBytes = Math.max(sliceBytes / 2, SLICE_BYTES_MIN)
      } finally {
        lane.leave()
      }
    }
  }

  async #fillSlice(from: number, to: number): Promise<void> {
    const brought = this.#bring(from, to, "by job")
    const done = brought.then(
      () => undefined,
      () => undefined,
    )
    this.#slice = { from, to, done }
    try {
      const damage = await brought
      if (damage !== undefined) this.#warnOfDamage(damage)
    } finally {
      this.#slice = undefined
    }
  }

  async #publish(): Promise<void> {
    const { fileSystem } = this.#host
    if (!this.#isRenamed) {
      try {
        await this.#part.sync()
      } catch (error) {
        await this.#startOver()
        throw error
      }
      await fileSystem.rename(this.#path + ARRIVING_SUFFIX, this.#path)
      this.#isRenamed = true
    }
    await fileSystem.syncDirectory(dirname(this.#path))
    this.#completion.finish()
  }

  /** After a failed sync nobody knows what the file holds: everything is fetched anew, into another one. */
  async #startOver(): Promise<void> {
    const { fileSystem } = this.#host
    const path = this.#path + ARRIVING_SUFFIX
    await fileSystem.remove(path)
    const fresh = await fileSystem.open(path, "create")
    this.#given.push(this.#part)
    this.#part = fresh
    this.#foundBelow = 0
    for (let index = 0; index < this.#chunks.count; index++) this.#states.set(index, chunkStates.missing)
    await fresh.truncate(this.#chunks.end)
  }

  #warnOfDamage(error: EngineError): void {
    this.#damage = error
    // A pack that is gone takes thousands of chunks with it.
    if (this.bytesDamaged < 2 * this.#bytesWarned) return
    this.#bytesWarned = this.bytesDamaged
    this.#host.warn(
      `${this.bytesDamaged} bytes of run ${this.#id} are damaged in the repository: keys there answer DATA_LOSS`,
      error,
    )
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    this.#completion.fail(new EngineError("ENGINE_CLOSED", `run ${this.#id} was closed before it was whole`))
    await this.#starting
    await this.#filling
    await Promise.all(this.#asked)
    const closed = await Promise.allSettled([this.#part, ...this.#given].map((file) => file.close()))
    for (const each of closed) if (each.status === "rejected") throw each.reason
  }
}
