// What the client does when the state is replaced under it, as its option `rollback` says.

import { expect, test } from "vitest"
import { pair } from "./pair.ts"
import { reasonOf } from "./reason-of.ts"

test("rollback fail: after somebody else's restore calls fail until this client restores", async () => {
  for (const silentRestore of [false, true]) {
    const { daemon, state } = await pair({ partitionCount: 4, silentRestore }, { rollback: "fail" })
    await state.set("k", "1")
    await state.snapshot({ version: 1 })
    await state.set("k", "2")
    daemon.rollBack(1)
    expect(await reasonOf(state.set("k", "3"))).toBe("STATE_REPLACED")
    expect(await reasonOf(state.get("k"))).toBe("STATE_REPLACED")
    expect(await reasonOf(state.snapshot({ version: 2 }))).toBe("STATE_REPLACED")
    expect((await state.restore({ version: 1 })).version).toBe(1)
    expect(String(await state.get("k"))).toBe("1")
    await state.set("k", "3")
    await state.snapshot({ version: 2 })
  }
})

test("rollback fail: the lineage found at connect is kept over reconnects", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 }, { rollback: "fail" })
  await state.set("k", "1")
  await state.snapshot({ version: 1 })
  daemon.stop()
  daemon.rollBack(1)
  await daemon.start()
  expect(await reasonOf(state.get("k"))).toBe("STATE_REPLACED")
  await daemon.restart()
  expect(await reasonOf(state.get("k"))).toBe("STATE_REPLACED")
})

test("rollback follow: calls go on over a rollback", async () => {
  const { daemon, state } = await pair({ partitionCount: 1 })
  await state.set("k", "1")
  await state.snapshot({ version: 1 })
  await state.set("k", "2")
  daemon.rollBack(1)
  expect(String(await state.get("k"))).toBe("1")
})
