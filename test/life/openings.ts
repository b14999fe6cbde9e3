// Openings and clean stops: whatever a directory has been through, what comes up is what was promised of it.

import type { Engine } from "@varve/engines"
import type { VersionSummary } from "@varve/engines/internal"
import { contents } from "../engines/engine-fixture.ts"
import { nameOf, type State } from "./known-versions.ts"
import { continuing, type Expected, expectedOf, type Outcome } from "./outcomes.ts"
import { restoreStore } from "./restores.ts"
import { differenceOf, hasReason, type Opening, type Seat } from "./seat.ts"
import type { Site, World } from "./world.ts"

interface OpenedSeat {
  readonly site: Site
  readonly seat: Seat
  readonly engine: Engine
  readonly before: readonly Outcome[]
  readonly interrupted: () => void
}

/** As a daemon does: all partitions that it can have. */
export async function openAll(world: World, site: Site): Promise<void> {
  const { machine } = site
  for (const seat of site.seats) {
    if (site.machine !== machine || machine.door.isAsleep) return
    if (seat.engine === undefined && !seat.isBusy) await open(world, site, seat)
  }
  // At first both partitions stand on one timeline, so that their versions are versions of the store.
  if (
    site.machine === machine &&
    site.seats.every(({ partition }) => world.versions.counting(partition).length === 0)
  ) {
    await restoreStore(world, site)
  }
}

async function open(world: World, site: Site, seat: Seat): Promise<void> {
  const { machine } = site
  const opening: Opening = {
    engine: site.engine,
    durability: world.random.oneIn(2) ? "log" : "snapshot",
    restoreMode: world.random.oneIn(3) ? "eager" : "lazy",
  }
  const listed = await world.list(seat.partition)
  const before = seat.outcomes
  world.tell(
    `${world.who(site, seat)} opens, ${opening.engine}, ${opening.durability}, ${opening.restoreMode}`,
  )
  const interrupted = (): void => seat.bury(halfOpened(world, before, opening, seat.partition, listed))
  await world.perform(site, [seat], seat.open(machine, opening), {
    done: async (engine, slept) => {
      world.count(`opened: ${engine.recovery}`)
      world.owners[seat.partition] = Math.max(world.owners[seat.partition]!, engine.owner.epoch)
      await opened(world, { site, seat, engine, before, interrupted }, slept ? listed : undefined)
    },
    failed: (error, slept) => {
      world.count("opening failed")
      interrupted()
      if (hasReason(error, "OWNER_FENCED") && slept) return
      world.excuse(site, error, slept)
    },
    gone: interrupted,
  })
}

/**
 * Whether the opening came up with what was promised.
 * @param listedBefore when it slept: who went on meanwhile may have been found or not
 */
async function opened(
  world: World,
  { site, seat, engine, before, interrupted }: OpenedSeat,
  listedBefore: readonly VersionSummary[] | undefined,
): Promise<void> {
  const listed = await world.list(seat.partition)
  const seen = listed.filter(({ epoch }) => epoch < engine.owner.epoch)
  const views = listedBefore === undefined ? [seen] : [seen, listed, listedBefore]
  const expected = views.flatMap((view) => before.map((outcome) => expectedOf(outcome, view)))
  seat.engine = engine
  seat.forgetReplaced()
  seat.needs.clear()
  for (const { timeline, version } of listed) {
    seat.needs.add(nameOf({ partition: seat.partition, timeline, version }))
  }
  await world.perform(site, [seat], contents(engine), {
    done: (found) => {
      seat.isBusy = false
      recognize(world, seat, found, expected)
    },
    failed: async (error, slept) => {
      // It is not known which of the possible states it holds.
      interrupted()
      const closed = await site.machine.settle(engine.close())
      if (closed.is === "asleep")
        site.asleep.push(async () => void (await site.machine.settle(Promise.resolve())))
      if (!hasReason(error, "OWNER_FENCED")) world.excuse(site, error, slept)
    },
    gone: interrupted,
  })
}

function recognize(world: World, seat: Seat, found: State, expected: readonly Expected[]): void {
  const engine = seat.engine!
  const mismatches: string[] = []
  for (const { recovery, version, states } of expected) {
    const possible = version === undefined ? states : [world.versions.of(seat.partition, version).state]
    const { position } = engine
    const where = version === undefined ? "" : ` at ${version.timeline}/${version.version}`
    const isThere =
      recovery === engine.recovery &&
      (version === undefined ||
        (version.version === position.version && version.timeline === position.timeline))
    const match = possible.find((state) => differenceOf(found, state) === undefined)
    if (isThere && match !== undefined) {
      seat.present = new Map(match)
      seat.isUnlogged = version === undefined && match.size === 0
      return
    }
    mismatches.push(`${recovery}${where}: ${isThere ? differenceOf(found, possible[0]!) : "not so"}`)
  }
  throw new Error(
    `opened: ${engine.recovery} at ${engine.position.timeline}/${engine.position.version} with ${found.size} records; expected: ${mismatches.join("; ")}`,
  )
}

/** An opening that came to no end may have got anywhere. */
function halfOpened(
  world: World,
  before: readonly Outcome[],
  { durability }: Opening,
  partition: number,
  listed: readonly VersionSummary[],
): Outcome[] {
  const epoch = world.highestEpoch(partition)
  const outcomes = [...before]
  for (const outcome of before) {
    const { version, states } = expectedOf(outcome, listed)
    const isOvertaken = outcome.kind !== "new" && listed.some((each) => each.epoch > outcome.epoch)
    if (version === undefined) {
      outcomes.push({
        ...outcome,
        kind: durability === "log" && outcome.states.length > 0 ? "log" : "crash",
        epoch,
        states,
      })
      continue
    }
    // Until the version is there, what is served is what it was, and stays overtaken.
    if (!isOvertaken) outcomes.push({ ...outcome, kind: "crash", epoch })
    else outcomes.push({ ...outcome, kind: "crash" })
    if (isOvertaken && durability === "log")
      outcomes.push({ ...outcome, kind: outcome.kind === "crash" ? "crash" : "log" })
    const summary = listed.find(
      (each) => each.version === version.version && each.timeline === version.timeline,
    )!
    const { state } = world.versions.of(partition, version)
    outcomes.push(continuing(summary, state, { epoch, isLogged: durability === "log" }))
  }
  return outcomes
}

export async function close(world: World, site: Site, seat: Seat): Promise<void> {
  const engine = seat.engine!
  const left = seat.leavesBehind()
  const wasFenced = engine.owner.isFenced
  const clean: Outcome = { ...left, kind: "clean", states: [new Map(seat.present)] }
  world.tell(`${world.who(site, seat)} closes${wasFenced ? ", fenced" : ""}`)
  await world.perform(site, [seat], engine.close(), {
    done: () => seat.bury(engine.owner.isFenced ? [left] : [clean]),
    failed: (error, slept) => {
      seat.bury([left, clean])
      world.excuse(site, error, slept)
    },
    gone: () => seat.bury([left, clean]),
  })
}
