// A life of a repository: its machines write, take versions and put them back, take partitions from one another, sleep in
// the middle of a call and wake much later, are killed and lose power, while versions are removed and garbage is collected.
// After each step what is there is what was promised.

import type { EngineName } from "@varve/engines"
import { close, openAll } from "./openings.ts"
import { compare, cut, read, snapshot, write } from "./records.ts"
import { restore, restoreStore, undo } from "./restores.ts"
import { collect, pin, prune } from "./upkeep.ts"
import { HOUR, type Site, World } from "./world.ts"

export class Life {
  readonly #world: World

  /** @param engines of the first and the second machine */
  constructor(seed: number, engines: readonly [EngineName, EngineName]) {
    this.#world = new World(seed, engines)
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#world.counts
  }

  get told(): readonly string[] {
    return this.#world.told
  }

  async step(): Promise<void> {
    if (this.#world.stepNumber++ === 0) await this.#world.witness.machine.repository()
    for (const each of this.#world.sites) if (this.#world.random.oneIn(20)) this.#world.clear(each)
    const site = this.#world.random.pick(this.#world.sites)
    for (const each of this.#world.sites) {
      // What works in the background may have met the end.
      if (each.machine.isGone) this.#world.bury(each)
      if (each.machine.door.isDown || each.machine.door.failsOneIn > 0) each.badStep = this.#world.stepNumber
    }
    if (site.machine.door.isAsleep) {
      if (this.#world.random.oneIn(6)) await this.#wake(site)
      return
    }
    const seat = this.#world.random.pick(site.seats)
    const dice = this.#world.random.integer(1000)
    if (dice < 40) await this.#weather(site)
    else if (dice < 85) await this.#pass()
    else if (dice < 120) await collect(this.#world, site)
    else if (dice < 150) await prune(this.#world, site)
    else if (dice < 170) await pin(this.#world, site)
    else if (dice < 195) await this.#kill(site)
    else if (dice < 225) this.#arm(site)
    else if (dice < 255) await this.#world.checkAll()
    else if (!seat.isOpen) await openAll(this.#world, site)
    else if (seat.engine!.owner.isFenced) await close(this.#world, site, seat)
    else if (dice < 560) await write(this.#world, site, seat)
    else if (dice < 690) await read(this.#world, site, seat)
    else if (dice < 740) await compare(this.#world, site, seat)
    else if (dice < 850) await snapshot(this.#world, site, seat)
    else if (dice < 880) await cut(this.#world, site)
    else if (dice < 930) await restore(this.#world, site, seat)
    else if (dice < 950) await restoreStore(this.#world, site)
    else if (dice < 970) await undo(this.#world, site, seat)
    else await close(this.#world, site, seat)
  }

  /** Wakes, closes and removes everything; nothing is left that belongs to no version. */
  async end(): Promise<void> {
    for (const site of this.#world.sites) {
      this.#world.clear(site)
      await this.#wake(site)
      for (const seat of site.seats) if (seat.isOpen) await close(this.#world, site, seat)
    }
    await this.#world.checkAll()
    await this.#world.witness.removeAllBut(2, this.#world.versions)
    await this.#world.checkAll()
    this.#world.count("packs rewritten", await this.#world.witness.collectToTheEnd(this.#world.clock))
    await this.#world.checkAll()
    await this.#world.witness.expectNoSlack()
    await this.#world.witness.removeAllBut(0, this.#world.versions)
    // What came too late stays as long as the last takeover was cut short: somebody might still name it.
    await this.#world.witness.takeOver(this.#world.sites[0]!.engine)
    await this.#world.witness.collectToTheEnd(this.#world.clock)
    const left = [...this.#world.bucket.objects.keys()].filter(
      (key) => !/^repository\.json$|\/owner\//.test(key),
    )
    if (left.length > 0)
      throw new Error(`nothing needs these, and they are there: ${left.slice(0, 5).join(", ")}`)
  }

  async #weather(site: Site): Promise<void> {
    const { door } = site.machine
    if (door.isDown || door.failsOneIn > 0 || this.#world.random.oneIn(2)) return this.#world.clear(site)
    site.badStep = this.#world.stepNumber
    if (this.#world.random.oneIn(3)) door.isDown = true
    else door.failsOneIn = 8 + this.#world.random.integer(60)
    this.#world.tell(`the network of ${site.machine.options.name} is ${door.isDown ? "down" : "bad"}`)
  }

  async #pass(): Promise<void> {
    const ms = this.#world.random.oneIn(2)
      ? this.#world.random.integer(26 * HOUR)
      : this.#world.random.integer(HOUR)
    this.#world.tell(`${(ms / HOUR).toFixed(1)} hours pass`)
    await this.#world.clock.sleep(ms)
  }

  /** The next calls of the machine come to a bad end, or to none for long. */
  #arm(site: Site): void {
    const { machine } = site
    const dice = this.#world.random.integer(4)
    const calls = 1 + this.#world.random.integer(dice === 0 ? 120 : 14)
    if (dice === 0) machine.disk.crashAt(machine.disk.steps + calls)
    else if (dice === 1) machine.door.endAfter(calls)
    else machine.door.sleepAfter(calls)
    this.#world.tell(
      `${machine.options.name}: ${["ends in a call to its disk", "ends in a call", "falls asleep", "falls asleep"][dice]} ${calls}`,
    )
  }

  async #kill(site: Site): Promise<void> {
    this.#world.bury(site)
  }

  async #wake(site: Site): Promise<void> {
    if (!site.machine.door.isAsleep) return
    this.#world.tell(`${site.machine.options.name} wakes`)
    site.machine.door.wake()
    for (const settle of site.asleep.splice(0)) await settle()
  }
}
