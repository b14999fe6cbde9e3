// What lives have found, each as short as it can be.

import { engineNames } from "@varve/engines"
import { expect, test } from "vitest"
import { bytes, contents, openDurable, openTiny } from "../engines/engine-fixture.ts"
import { simulatedSeams } from "../simulation/index.ts"

const TWO_HOURS_MS = 2 * 60 * 60 * 1000

test.each(
  engineNames.flatMap((name) => (["snapshot", "log"] as const).map((setting) => [name, setting] as const)),
)(
  "%s, durability %s: a directory opens long after a restore, though the replaced state that is given up shares its runs",
  async (name, durability) => {
    const seams = simulatedSeams(1)
    const open = durability === "log" ? openDurable : openTiny
    const engine = await open(name, seams)
    await engine.set(bytes("key"), bytes("one"))
    await engine.snapshot({ version: 1 })
    await engine.restore({ version: 1 })
    await engine.close()
    await seams.clock.sleep(TWO_HOURS_MS)
    const again = await open(name, seams)
    expect([again.recovery, await contents(again)]).toEqual(["continued", new Map([["key", "one"]])])
    await again.close()
  },
)
