// Writes, reads and versions of a partition that is open.

import { bytes } from "../engines/engine-fixture.ts"
import { nameOf, type State } from "./known-versions.ts"
import { hasReason, type Seat } from "./seat.ts"
import type { Site, World } from "./world.ts"

export async function write(world: World, site: Site, seat: Seat): Promise<void> {
  const count = 1 + world.random.integer(8)
  // Of what is not acknowledged when the machine ends, a log has a first part, each batch whole.
  const states: State[] = [new Map(seat.present)]
  const next = new Map(seat.present)
  const waiting: Promise<void>[] = []
  const gone = (): void => {
    const left = seat.leavesBehind()
    seat.bury([left.kind === "log" ? { ...left, states } : left])
  }
  for (let i = 0; i < count; i++) {
    const records = Array.from({ length: 1 + world.random.integer(5) }, () => record(world, seat, next))
    try {
      const pending = seat.engine!.write(records)
      if (pending !== undefined) waiting.push(pending)
    } catch (error) {
      // Nothing of this batch was applied.
      await site.machine.settle(Promise.allSettled(waiting))
      if (site.machine.isGone) {
        gone()
        return world.bury(site)
      }
      world.fenced(site, seat, error)
      return
    }
    states.push(new Map(next))
  }
  world.count("batches", count)
  await world.perform(site, [seat], Promise.all(waiting), {
    done: () => {
      seat.present = next
      seat.isUnlogged = false
      seat.isBusy = false
    },
    failed: (error) => {
      throw error
    },
    gone,
  })
}

/** A write or a delete, applied to the model. */
function record(
  world: World,
  seat: Seat,
  state: Map<string, string>,
): { key: Uint8Array; value: Uint8Array } {
  const keys = world.keys[seat.partition]!
  const key = keys[world.random.oneIn(2) ? world.random.integer(10) : world.random.integer(keys.length)]!
  const letter = String.fromCharCode(97 + world.random.integer(26))
  const value = world.random.oneIn(5) ? "" : `${world.stepNumber}${letter.repeat(world.random.integer(300))}`
  if (value === "") state.delete(key)
  else state.set(key, value)
  return { key: bytes(key), value: bytes(value) }
}

export async function read(world: World, site: Site, seat: Seat): Promise<void> {
  const keys = Array.from({ length: 1 + world.random.integer(12) }, () =>
    world.random.pick(world.keys[seat.partition]!),
  )
  await world.perform(site, [seat], Promise.resolve(seat.engine!.getMany(keys.map(bytes))), {
    done: (values) => {
      seat.isBusy = false
      for (const [i, value] of values.entries()) {
        const found = value === undefined ? undefined : Buffer.from(value).toString()
        if (found !== seat.present.get(keys[i]!)) throw new Error(`${keys[i]} is ${found?.slice(0, 40)}`)
      }
    },
    failed: (error, slept) => unread(world, site, seat, error, slept),
    gone: () => seat.bury(),
  })
}

export async function compare(world: World, site: Site, seat: Seat): Promise<void> {
  world.tell(`${world.who(site, seat)} is compared`)
  await world.perform(site, [seat], seat.compare(), {
    done: () => {
      seat.isBusy = false
    },
    failed: (error, slept) => unread(world, site, seat, error, slept),
    gone: () => seat.bury(),
  })
}

/** Records that are still in the repository cannot be read while it cannot be reached. */
function unread(world: World, site: Site, seat: Seat, error: unknown, slept: boolean): void {
  seat.isBusy = false
  if (hasReason(error, "OWNER_FENCED")) world.fenced(site, seat, error)
  else world.excuse(site, error, slept)
}

export async function snapshot(
  world: World,
  site: Site,
  seat: Seat,
  version = world.nextNumber(seat),
): Promise<void> {
  const engine = seat.engine!
  const { timeline } = engine.line.at(-1)!
  const isStale = world.isTaken(seat)
  const metadata = `offset ${world.random.next()}`
  const known = world.versions.add({
    partition: seat.partition,
    timeline,
    version,
    epoch: engine.owner.epoch,
    state: new Map(seat.present),
    metadata,
  })
  const wasTaken = world.versions.isTaken(known)
  world.tell(`${world.who(site, seat)} takes version ${timeline}/${version}${isStale ? ", too late" : ""}`)
  const call = engine.snapshot({ version, metadata: bytes(metadata) })
  await world.perform(site, [seat], call, {
    done: () => {
      seat.isBusy = false
      if (isStale) throw new Error(`${nameOf(known)} was acknowledged, and the partition has another owner`)
      known.status = "counts"
      world.count("versions")
    },
    failed: (error, slept) => {
      seat.isBusy = false
      if (known.status === "pending") known.status = "unknown"
      world.count("versions that failed")
      if (hasReason(error, "OWNER_FENCED")) return world.fenced(site, seat, error)
      if (hasReason(error, "VERSION_EXISTS") && wasTaken) return
      world.excuse(site, error, slept)
    },
    gone: () => {
      if (known.status === "pending") known.status = "unknown"
      seat.bury()
    },
  })
}

/** One number for both partitions, when the machine has both and they are on one timeline. */
export async function cut(world: World, site: Site): Promise<void> {
  if (!site.seats.every((seat) => seat.isOpen && !seat.engine!.owner.isFenced)) return
  const version = Math.max(...site.seats.map((seat) => world.nextNumber(seat)))
  for (const seat of site.seats)
    if (seat.isOpen && !site.machine.door.isAsleep) await snapshot(world, site, seat, version)
}
