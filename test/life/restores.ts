// Restores: of a version, of the newest one, of nothing, of both partitions together, and of what a restore has replaced.

import { openLine, type VersionSummary } from "@varve/engines/internal"
import { nameOf } from "./known-versions.ts"
import { continuing, newestOf, type Outcome } from "./outcomes.ts"
import { compare } from "./records.ts"
import { hasReason, type Seat } from "./seat.ts"
import { MINUTE, type Site, type World } from "./world.ts"

export async function restore(world: World, site: Site, seat: Seat): Promise<void> {
  const listed = await world.list(seat.partition)
  const engine = seat.engine!
  const newest = newestOf(listed, engine.line)
  const isNewest = world.random.oneIn(3)
  const target = isNewest ? newest : listed.length === 0 ? undefined : world.random.pick(listed)
  if (target === undefined) return
  const { version, timeline } = target
  const newTimeline = world.random.oneIn(3) ? world.newTimeline() : undefined
  await putBack(world, site, seat, target, { isNewest, newTimeline })
  world.tell(`… ${timeline}/${version} was put back`)
}

/** A version that both partitions have, or nothing at all, on one new timeline. */
export async function restoreStore(world: World, site: Site): Promise<void> {
  if (!site.seats.every((seat) => seat.isOpen && !seat.engine!.owner.isFenced)) return
  const listings: VersionSummary[][] = []
  for (const seat of site.seats) listings.push([...(await world.list(seat.partition))])
  const common = listings[0]!.filter(({ version, timeline }) =>
    listings[1]!.some((each) => each.version === version && each.timeline === timeline),
  )
  const newTimeline = world.newTimeline()
  const chosen = common.length === 0 ? undefined : world.random.pick(common)
  if (chosen !== undefined) world.count("complete versions put back")
  for (const [i, seat] of site.seats.entries()) {
    if (!seat.isOpen || site.machine.door.isAsleep) return
    const target = listings[i]!.find(
      (each) => each.version === chosen?.version && each.timeline === chosen.timeline,
    )
    await putBack(world, site, seat, target, { isNewest: false, newTimeline })
  }
}

/** @param target undefined: the empty state */
async function putBack(
  world: World,
  site: Site,
  seat: Seat,
  target: VersionSummary | undefined,
  { isNewest, newTimeline }: { readonly isNewest: boolean; readonly newTimeline: string | undefined },
): Promise<void> {
  const engine = seat.engine!
  const known = target === undefined ? undefined : world.versions.of(seat.partition, target)
  const state = known?.state ?? new Map<string, string>()
  const before = seat.leavesBehind()
  const isLogged = before.kind === "log"
  const after: Outcome =
    target === undefined
      ? { ...before, line: openLine([], newTimeline!), states: [state] }
      : continuing(target, state, { epoch: before.epoch, isLogged })
  const mode = world.random.oneIn(2) ? ("eager" as const) : ("lazy" as const)
  const where = target === undefined ? "nothing" : `${target.timeline}/${target.version}`
  world.tell(`${world.who(site, seat)} puts ${where} back, ${mode}${isNewest ? ", newest" : ""}`)
  const options = { mode, ...(newTimeline === undefined ? {} : { newTimeline }) }
  const call =
    target === undefined
      ? engine.restore({ empty: true, ...options })
      : isNewest
        ? engine.restore({ newest: true, ...options })
        : engine.restore({ version: target.version, timeline: target.timeline, ...options })
  const startedMs = world.clock.nowMs()
  const lineBefore = [...engine.line]
  await world.perform(site, [seat], call, {
    done: async (result, slept) => {
      seat.isBusy = false
      seat.isUnlogged = false
      world.count("restores")
      const metadata = Buffer.from(result.metadata).toString()
      // Who has slept may have looked only now.
      const later = slept && isNewest ? newestOf(await world.list(seat.partition), lineBefore) : undefined
      const isLater = later !== undefined && Buffer.from(later.metadata).toString() === metadata
      const put = isLater ? world.versions.of(seat.partition, later) : known
      if (metadata !== (put?.metadata ?? "")) throw new Error(`metadata of ${where}: ${metadata}`)
      if (result.version !== (put?.version ?? 0))
        throw new Error(`${where} was asked for, ${result.version} was put back`)
      seat.replace(result.replaced, put?.state ?? state, startedMs)
      if (put !== undefined) {
        const { partition, timeline, version } = put
        seat.needs.add(nameOf({ partition, timeline, version }))
      }
      if (world.random.oneIn(2)) await compare(world, site, seat)
    },
    failed: (error, slept) => {
      seat.isBusy = false
      world.count("restores that failed")
      if (hasReason(error, "OWNER_FENCED")) return world.fenced(site, seat, error)
      world.excuse(site, error, slept)
    },
    gone: () => seat.bury([before, after, { ...after, line: [...engine.line] }]),
  })
}

export async function undo(world: World, site: Site, seat: Seat): Promise<void> {
  const nowMs = world.clock.nowMs()
  const replaced = seat.replaced(nowMs)
  if (replaced === undefined) return
  const before = seat.leavesBehind()
  world.tell(`${world.who(site, seat)} takes a restore back`)
  await world.perform(site, [seat], seat.engine!.restore({ replaced: replaced.handle }), {
    done: async (result) => {
      seat.isBusy = false
      world.count("restores taken back")
      seat.replace(result.replaced, replaced.state, nowMs)
      for (const name of replaced.needs) seat.needs.add(name)
      await compare(world, site, seat)
    },
    failed: (error, slept) => {
      seat.isBusy = false
      if (hasReason(error, "REPLACED_STATE_NOT_FOUND") && world.clock.nowMs() - nowMs > 20 * MINUTE) return
      if (hasReason(error, "OWNER_FENCED")) return world.fenced(site, seat, error)
      world.excuse(site, error, slept)
    },
    gone: () =>
      seat.bury([before, { ...before, states: [replaced.state] }, ...anyOnLine(world, seat, before)]),
  })
}

/** Under durability `snapshot` a state that was put back may stand on any of the lines. */
function anyOnLine(world: World, seat: Seat, before: Outcome): Outcome[] {
  if (before.kind !== "crash") return []
  const listed = world.versions.listing(seat.partition)
  return [{ ...before, line: [] }, ...listed.map((summary) => ({ ...before, line: summary.line }))]
}
