// What keeps a repository in bounds: versions are removed, unless they are pinned, and garbage is collected.

import { GRACE_MS_MIN } from "@varve/engines/internal"
import { type KnownVersion, nameOf } from "./known-versions.ts"
import { hasReason, PARTITION_COUNT, STORE } from "./seat.ts"
import type { Site, World } from "./world.ts"

export async function collect(world: World, site: Site): Promise<void> {
  const liveMin = world.random.pick([0, 0.3, 0.9])
  world.tell(`${site.machine.options.name} collects`)
  await world.perform(site, [], site.machine.collect({ graceMs: GRACE_MS_MIN, liveMin }), {
    done: async ({ remove, rewrite, condemn, superseded }) => {
      world.count("packs removed", remove.length)
      world.count("packs rewritten", rewrite.length)
      world.count("packs condemned", condemn.length)
      world.count("manifests that came too late", superseded.length)
      await world.checkAll()
    },
    failed: (error, slept) => world.excuse(site, error, slept),
    gone: () => undefined,
  })
}

/** Removes all but the newest versions of a partition, as far as nobody has to fetch them still. */
export async function prune(world: World, site: Site): Promise<void> {
  const partition = world.random.integer(PARTITION_COUNT)
  const listed = await world.list(partition)
  const keep = 1 + world.random.integer(4)
  const { machine } = site
  for (const { version, timeline } of listed.slice(0, -keep)) {
    if (site.machine !== machine) return
    const seats = world.sites.flatMap(({ seats: all }) => all.filter((each) => each.partition === partition))
    if (seats.some((seat) => seat.dependsOn({ version, timeline }))) continue
    const known = world.versions.of(partition, { version, timeline })
    world.tell(`${nameOf(known)} is removed`)
    await remove(world, site, known)
    if (site.machine.door.isAsleep) return
  }
}

async function remove(world: World, site: Site, known: KnownVersion): Promise<void> {
  const { isPinned: wasPinned, partition } = known
  const removal = ++known.removals
  // Until it is done the version may be listed or not.
  known.status = "pending"
  const removed = site.machine.repository().then((each) => each.deleteVersion(STORE, partition, known))
  await world.perform(site, [], removed, {
    done: () => {
      known.status = "gone"
      world.count("versions removed")
      // It may have found what was so when it began, or what is so when it wakes.
      if (wasPinned === true && known.isPinned === true)
        throw new Error(`${nameOf(known)} was pinned, and was removed`)
    },
    failed: async (error, slept) => {
      undecided(known)
      if (hasReason(error, "SNAPSHOT_PINNED") && (wasPinned !== false || known.isPinned !== false)) return
      if (hasReason(error, "SNAPSHOT_NOT_FOUND") && slept && known.removals > removal) {
        await expectGone(world, known)
        world.count("removals that came too late")
        return
      }
      world.excuse(site, error, slept)
    },
    gone: () => undecided(known),
  })
}

/** Whether it was removed the next listing says, unless somebody else's removal has been answered meanwhile. */
function undecided(known: KnownVersion): void {
  if (known.status === "pending") known.status = "unknown"
}

/** @throws (rejects) when the version is there, though it was not found */
async function expectGone(world: World, known: KnownVersion): Promise<void> {
  const listed = await world.list(known.partition)
  if (listed.some(({ metadata }) => Buffer.from(metadata).toString() === known.metadata))
    throw new Error(`${nameOf(known)} was not found, and is listed`)
}

export async function pin(world: World, site: Site): Promise<void> {
  const partition = world.random.integer(PARTITION_COUNT)
  const listed = await world.list(partition)
  if (listed.length === 0) return
  const { version, timeline } = world.random.pick(listed)
  const known = world.versions.of(partition, { version, timeline })
  const isPinned = world.random.oneIn(3)
  const repository = await world.witness.machine.repository()
  if (isPinned) await repository.pin(STORE, partition, known, world.random.oneIn(2) ? "kept" : "")
  else await repository.unpin(STORE, partition, known)
  known.isPinned = isPinned
  world.tell(`${nameOf(known)}: pinned is ${isPinned} (asked for beside ${site.machine.options.name})`)
}
