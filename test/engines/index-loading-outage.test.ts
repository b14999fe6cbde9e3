// A repository that cannot be reached while the index of a restored state is still loaded: what is put on disk meanwhile
// names every hash that two keys may share, those too whose older key was not met yet.

import { type EngineName, openEngine } from "@varve/engines"
import { definitionOf, EngineError, InlineExecutor } from "@varve/engines/internal"
import { afterEach, expect, test, vi } from "vitest"
import { SimulatedRandom, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { collidingPairs, FixedHashSeed } from "./colliding-keys.ts"
import { afterKill, bytes, contents, openTiny } from "./engine-fixture.ts"
import { fetchesRecords, GatedExecutor } from "./gated-executor.ts"
import { GatedFileSystem } from "./gated-file-system.ts"
import { expectNoUnhandledRejections } from "./no-unhandled-rejections.ts"
import { serveAtOnce } from "./serve-at-once.ts"

expectNoUnhandledRejections()
afterEach(() => vi.restoreAllMocks())

/** Runs of several chunks. */
const RUN_BYTES = 65_536
/** As long as loading waits before its first page. */
const LOADING_STARTS_MS = 100
const [[overwritten, itsTwin], [older, newer]] = collidingPairs

const seeded = (seams: SimulatedSeams): SimulatedSeams =>
  ({ ...seams, random: new FixedHashSeed(seams.random) }) as unknown as SimulatedSeams

const settingsOf = (name: EngineName) => ({
  ...definitionOf(name).settingsFor(RUN_BYTES),
  compactionEnabled: false,
})

/** Three runs that never merge: newest first one that is of no interest, `overwritten`, `older`. */
async function stored(name: EngineName): Promise<{ seams: SimulatedSeams; state: Map<string, string> }> {
  const seams = simulatedSeams(1)
  const random = new SimulatedRandom(1)
  const engine = await openTiny(name, seeded(seams), settingsOf(name))
  for (const [at, key] of [older, overwritten, "other"].entries()) {
    await engine.set(bytes(key), bytes(`of run ${at}`))
    for (let i = 0; i < 12; i++) await engine.set(bytes(`filler ${at} ${i}`), random.bytes(1900))
    await engine.snapshot({ version: at + 1 })
  }
  const state = await contents(engine)
  await engine.close()
  await seams.fileSystem.removeDirectory("/partition")
  return { seams: afterKill(seams), state }
}

test.each(["append-log", "hybrid-log"] as const)(
  "%s: index loading: a stop while the repository is out of reach loses no key whose hash a newer key has",
  async (name) => {
    const { seams, state } = await stored(name)
    serveAtOnce(name)
    const outage = { isOut: false, failedCount: 0 }
    const fileSystem = new GatedFileSystem(seams.fileSystem)
    fileSystem.beforeRead = async (path) => {
      if (!outage.isOut || !path.startsWith("/repository/")) return
      outage.failedCount++
      throw new EngineError("REPOSITORY_FAILED", "the repository cannot be reached")
    }
    let beginLoading: () => void = () => undefined
    const begin = new Promise<void>((resolve) => (beginLoading = resolve))
    const sleep = seams.clock.sleep.bind(seams.clock)
    seams.clock.sleep = (ms, signal) => {
      if (ms !== LOADING_STARTS_MS || signal?.aborted === true) return sleep(ms, signal)
      const aborted = new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve()))
      return Promise.race([begin, aborted])
    }
    const executor = new GatedExecutor(new InlineExecutor({ ...seams, fileSystem }), fetchesRecords)
    const engine = await openEngine({
      ...{ engine: name, directory: "/partition", repository: "file:/repository" },
      ...{ owner: { checkIntervalMs: 0 }, settings: settingsOf(name) },
      seams: { ...seeded(seams), fileSystem, executor },
    })
    outage.isOut = true
    for (const key of [overwritten, itsTwin, newer]) {
      await engine.set(bytes(key), bytes("meanwhile"))
      state.set(key, "meanwhile")
    }
    beginLoading()
    await vi.waitUntil(() => outage.failedCount > 0)
    await engine.close()
    vi.restoreAllMocks()
    const again = await openTiny(name, seeded(afterKill(seams)), settingsOf(name))
    expect(again.recovery).toBe("continued")
    expect(await contents(again)).toEqual(state)
    await again.close()
  },
)
