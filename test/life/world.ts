// The world of a life: two machines, each with a place for both partitions of one store, a bucket between them, and the
// model. Every call on a machine goes through `perform`: it ends well or badly, its machine ends, or it falls asleep.

import type { EngineName } from "@varve/engines"
import type { VersionSummary } from "@varve/engines/internal"
import { partitionOfKey } from "@varve/proto"
import { bytes } from "../engines/engine-fixture.ts"
import { SimulatedClock, SimulatedRandom } from "../simulation/index.ts"
import { Bucket } from "./bucket.ts"
import { KnownVersions } from "./known-versions.ts"
import { type Ending, Machine } from "./machine.ts"
import { hasReason, PARTITION_COUNT, Seat } from "./seat.ts"
import { Witness } from "./witness.ts"

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
const KEY_COUNT = 160
const STEPS_TOLD = 40

/** A machine and its seats; the machine is another one after each end. */
export interface Site {
  machine: Machine
  readonly engine: EngineName
  readonly seats: readonly Seat[]
  /** Calls that have fallen asleep with the machine. */
  asleep: (() => Promise<void>)[]
  /** In which step the network was last bad. */
  badStep: number
}

/** What becomes of a call, by how it ended. */
interface Endings<Result> {
  readonly done: (result: Result, slept: boolean) => Promise<void> | void
  readonly failed: (error: unknown, slept: boolean) => Promise<void> | void
  /** The machine is gone: what was promised. */
  readonly gone: () => void
}

export class World {
  readonly random: SimulatedRandom
  readonly clock = new SimulatedClock({ autoAdvance: true })
  readonly bucket = new Bucket(() => this.clock.nowMs())
  readonly versions = new KnownVersions()
  readonly sites: readonly Site[]
  /** How often each thing happened. */
  readonly counts = new Map<string, number>()
  /** The last steps, in words. */
  readonly told: string[] = []
  readonly keys: readonly (readonly string[])[]
  /** The epoch of the last one that has opened each. */
  readonly owners = Array.from({ length: PARTITION_COUNT }, () => 0)
  readonly witness: Witness
  stepNumber = 0
  /** What calls that sleep leave behind if their machine never wakes. */
  readonly #goneBySite = new Map<Site, (() => void)[]>()

  /** @param engines of the first and the second machine */
  constructor(seed: number, engines: readonly [EngineName, EngineName]) {
    this.random = new SimulatedRandom(seed)
    const keys = Array.from({ length: KEY_COUNT }, (_, i) => `key:${i}`)
    const partitionOf = (key: string): number => partitionOfKey(bytes(key), PARTITION_COUNT)
    this.keys = Array.from({ length: PARTITION_COUNT }, (_, p) =>
      keys.filter((key) => partitionOf(key) === p),
    )
    this.sites = engines.map((engine, i) => ({
      machine: new Machine({
        name: `machine ${i}`,
        bucket: this.bucket,
        clock: this.clock,
        seed: this.random.next(),
        skewMs: i * 30 * MINUTE,
      }),
      engine,
      seats: Array.from({ length: PARTITION_COUNT }, (_, partition) => new Seat(partition)),
      asleep: [],
      badStep: -1,
    }))
    this.witness = new Witness(
      new Machine({
        name: "witness",
        bucket: this.bucket,
        clock: this.clock,
        seed: this.random.next(),
        skewMs: 0,
      }),
    )
  }

  /** Every version that counts is listed and is what was sealed; nothing that they need is damaged or missing. */
  async checkAll(): Promise<void> {
    this.tell("check")
    for (let partition = 0; partition < PARTITION_COUNT; partition++) await this.list(partition)
    const all = Array.from({ length: PARTITION_COUNT }, (_, p) => this.versions.counting(p))
    await this.witness.verify(all.flat())
    for (const known of this.some(all.flat(), 3)) await this.witness.compare(known)
    await this.witness.compareComplete(this.versions, this.random)
  }

  clear(site: Site): void {
    if (site.machine.door.isDown || site.machine.door.failsOneIn > 0) site.badStep = this.stepNumber
    site.machine.door.isDown = false
    site.machine.door.failsOneIn = 0
  }

  /** The machine is gone, or is stopped now; another one comes up with what is left of its disk. */
  bury(site: Site): void {
    const isPowerLost = this.random.oneIn(2)
    const { machine } = site
    this.tell(`${machine.options.name} ${isPowerLost ? "loses power" : "is killed"}`)
    this.count(isPowerLost ? "power losses" : "kills")
    if (site.asleep.length > 0) for (const gone of this.#goneBySite.get(site) ?? []) gone()
    this.#goneBySite.delete(site)
    for (const seat of site.seats) if (seat.engine !== undefined) seat.bury()
    site.asleep = []
    const bad = { isDown: machine.door.isDown, failsOneIn: machine.door.failsOneIn }
    site.machine = machine.successor(isPowerLost)
    site.machine.door.isDown = bad.isDown
    site.machine.door.failsOneIn = bad.failsOneIn
  }

  /** @throws unless somebody has taken the partition meanwhile */
  fenced(site: Site, seat: Seat, error: unknown): void {
    seat.isBusy = false
    const isLost = this.highestEpoch(seat.partition) > seat.engine!.owner.epoch
    if (!hasReason(error, "OWNER_FENCED") || !isLost) throw error
    this.count("fenced")
    this.tell(`${this.who(site, seat)} is fenced`)
  }

  /** @throws unless the network, or a long sleep, explains the failure */
  excuse(site: Site, error: unknown, slept: boolean): void {
    const isBad =
      site.badStep >= this.stepNumber - 1 || site.machine.door.isDown || site.machine.door.failsOneIn > 0
    if (hasReason(error, "REPOSITORY_FAILED") && (isBad || slept)) {
      this.count("calls that the network failed")
      return
    }
    throw error
  }

  async list(partition: number): Promise<readonly VersionSummary[]> {
    const listed = await this.witness.list(partition)
    const isQuiet = !this.sites.some(({ seats }) => seats[partition]!.isBusy)
    this.versions.check(partition, listed, isQuiet)
    return listed
  }

  isTaken(seat: Seat): boolean {
    return this.owners[seat.partition]! > seat.engine!.owner.epoch
  }

  highestEpoch(partition: number): number {
    const epochs = [...this.bucket.objects.keys()].flatMap((key) => {
      const match = /^stores\/[^/]+\/(\d+)\/owner\/(\d+)\./.exec(key)
      return match !== null && Number(match[1]) === partition ? [Number(match[2])] : []
    })
    return Math.max(0, ...epochs)
  }

  nextNumber(seat: Seat): number {
    return seat.engine!.position.version + 1 + this.random.integer(2)
  }

  newTimeline(): string {
    return `line-${this.random.next().toString(16)}`
  }

  some<Item>(items: readonly Item[], count: number): Item[] {
    return items.length === 0 ? [] : Array.from({ length: count }, () => this.random.pick(items))
  }

  who(site: Site, seat: Seat): string {
    return `${site.machine.options.name}, partition ${seat.partition}`
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by)
  }

  tell(what: string): void {
    this.told.push(`${this.stepNumber} ${what}`)
    if (this.told.length > STEPS_TOLD) this.told.shift()
  }

  /** Runs a call to its end; on a machine that falls asleep, its end comes when it wakes. */
  async perform<Result>(
    site: Site,
    seats: readonly Seat[],
    call: Promise<Result>,
    endings: Endings<Result>,
  ): Promise<void> {
    const { machine } = site
    for (const seat of seats) seat.isBusy = true
    const conclude = async (ending: Ending<Result>, slept: boolean): Promise<void> => {
      if (ending.is === "asleep") {
        this.tell(`${machine.options.name} is asleep`)
        site.asleep.push(async () => conclude(await machine.settle(call), true))
        this.#goneBySite.set(site, [...(this.#goneBySite.get(site) ?? []), endings.gone])
      } else if (ending.is === "machine gone") {
        endings.gone()
        this.bury(site)
      } else if (ending.is === "failed") await endings.failed(ending.error, slept)
      else await endings.done(ending.result, slept)
    }
    await conclude(await machine.settle(call), false)
  }
}
