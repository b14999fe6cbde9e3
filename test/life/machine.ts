// A machine with a simulated disk, a clock and a door to the bucket. It sleeps and wakes, is killed and loses power; its
// successor has what is left of its disk.

import {
  type Clock,
  type CollectionOptions,
  type CollectionResult,
  collectGarbage,
  InlineExecutor,
  type Job,
  type JobContext,
  Repository,
  type Seams,
} from "@varve/engines/internal"
import { type SimulatedClock, SimulatedFileSystem, SimulatedRandom } from "../simulation/index.ts"
import { type Bucket, Door } from "./bucket.ts"

/** Turns of the event loop that one step may take. */
const TURNS_MAX = 400_000

/** What a call on a machine came to. */
export type Ending<Result> =
  | { readonly is: "done"; readonly result: Result }
  | { readonly is: "failed"; readonly error: unknown }
  | { readonly is: "machine gone" }
  | { readonly is: "asleep" }

/** What machines have in common, and what makes one. */
export interface MachineOptions {
  readonly name: string
  readonly bucket: Bucket
  readonly clock: SimulatedClock
  readonly seed: number
  /** By how much its clock is wrong. */
  readonly skewMs: number
}

export class Machine {
  readonly options: MachineOptions
  readonly disk: SimulatedFileSystem
  readonly door: Door
  readonly seams: Seams
  readonly #random: SimulatedRandom
  #isGone = false
  #repository: Repository | undefined

  constructor(options: MachineOptions, disk?: SimulatedFileSystem) {
    this.options = options
    this.#random = new SimulatedRandom(options.seed)
    const clock = new MachineClock(options.clock, options.skewMs, () => this.isGone)
    this.disk = disk ?? new SimulatedFileSystem({ seed: this.#random.next(), clock })
    this.door = new Door(options.bucket, new SimulatedRandom(this.#random.next()), () => this.isGone)
    const given = { fileSystem: this.disk, clock, random: new SimulatedRandom(this.#random.next()) }
    this.seams = { ...given, executor: new DoorExecutor(given, this.door) }
  }

  /** Killed, or without power: it does nothing any more. */
  get isGone(): boolean {
    return this.#isGone || this.disk.isCrashed || this.door.isOver
  }

  /** The repository as the machine's engines share it. */
  async repository(): Promise<Repository> {
    this.#repository ??= await Repository.open(this.door, this.seams)
    return this.#repository
  }

  collect(options: Omit<CollectionOptions, "url">): Promise<CollectionResult> {
    return this.seams.executor.run(collectGarbage, { ...options, url: this.door.url })
  }

  /** Stops it, if it still runs. The machine that comes up in its place. */
  successor(isPowerLost: boolean): Machine {
    this.#isGone = true
    const seed = this.#random.next()
    const disk = isPowerLost ? this.disk.restart(seed) : this.disk.restartProcess(seed)
    return new Machine({ ...this.options, seed }, disk)
  }

  /** Waits for the end of a call, of the machine, or until it sleeps. */
  async settle<Result>(call: Promise<Result>): Promise<Ending<Result>> {
    let ending: Ending<Result> | undefined
    call.then(
      (result) => {
        ending = { is: "done", result }
      },
      (error: unknown) => {
        ending = { is: "failed", error }
      },
    )
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
      if (this.isGone) return { is: "machine gone" }
      if (ending !== undefined) return ending
      if (this.door.isAsleep) return { is: "asleep" }
    }
    throw new Error(
      `${this.options.name}: a call never came to an end: ${this.door.trace.slice(-3).join("; ")}`,
    )
  }
}

/** Says the common time, a little wrong. On a machine that is gone nobody wakes up. */
class MachineClock implements Clock {
  readonly #clock: SimulatedClock
  readonly #skewMs: number
  readonly #isGone: () => boolean

  constructor(clock: SimulatedClock, skewMs: number, isGone: () => boolean) {
    this.#clock = clock
    this.#skewMs = skewMs
    this.#isGone = isGone
  }

  nowMs(): number {
    return this.#clock.nowMs() + this.#skewMs
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await this.#clock.sleep(ms, signal)
    if (this.#isGone()) await new Promise(() => undefined)
  }

  async nextTurn(): Promise<void> {
    await this.#clock.nextTurn()
    if (this.#isGone()) await new Promise(() => undefined)
  }
}

/** Jobs reach the bucket through the machine's door, whatever the URL says. */
class DoorExecutor extends InlineExecutor {
  readonly #door: Door

  constructor(seams: Pick<JobContext, "fileSystem" | "clock" | "random">, door: Door) {
    super(seams)
    this.#door = door
  }

  override run<Input, Output>(
    job: Job<Input, Output>,
    input: Input,
    transfer?: readonly ArrayBuffer[],
    signal?: AbortSignal,
  ): Promise<Output> {
    const throughDoor: Job<Input, Output> = {
      ...job,
      run: ({ fileSystem, clock, random }, given) =>
        job.run({ fileSystem, clock, random, objectStore: () => Promise.resolve(this.#door) }, given),
    }
    return super.run(throughDoor, input, transfer, signal)
  }
}
