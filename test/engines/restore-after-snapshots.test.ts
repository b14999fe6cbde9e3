// A restore that is asked for while versions are still on their way to the repository: they belong to the state that
// it replaces, and what comes after it stands on a timeline without them.

import { engineNames } from "@varve/engines"
import { expect, test } from "vitest"
import { simulatedSeams } from "../simulation/index.ts"
import { afterPowerLoss, bytes, contents, openDurable, openTiny } from "./engine-fixture.ts"

const cases = engineNames.flatMap((name) =>
  ([openTiny, openDurable] as const).map((open) => [name, open.name, open] as const),
)

test.each(cases)(
  "%s, %s: versions asked for before a restore stay on their timeline",
  async (name, _, open) => {
    const seams = simulatedSeams(1)
    const engine = await open(name, seams)
    await engine.set(bytes("a"), bytes("1"))
    await engine.snapshot({ version: 1 })
    await engine.set(bytes("a"), bytes("2"))
    const second = engine.snapshot({ version: 2, metadata: bytes("of the state that was replaced") })
    await engine.restore({ version: 1 })
    const { timeline } = await second
    // A crash brings up the state that was put back, not the version that it has left behind.
    const crashed = await open(name, afterPowerLoss(seams))
    expect(crashed.position).toMatchObject({ version: 1, metadata: new Uint8Array(0) })
    expect([...(await contents(crashed))]).toEqual([["a", "1"]])
    expect((await crashed.snapshot({ version: 2 })).timeline).not.toBe(timeline)
    expect((await crashed.listVersions()).map(({ version }) => version)).toEqual([1, 2, 2])
    await crashed.close()
  },
)
