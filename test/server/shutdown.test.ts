// What open pipelines see of a daemon that goes down.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { connect } from "@varve/client"
import { type PipelineResponse, UNSEQUENCED } from "@varve/proto"
import { test } from "vitest"
import { startDaemon } from "./daemon.ts"
import { RawClient, writes } from "./raw-client.ts"

/** Well below the 3 s of grace that calls get which still run. */
const PROMPT_MS = 2000

test("shutdown: idle pipelines do not hold a stop up", async () => {
  const daemon = await startDaemon()
  const states = [connect(daemon.grpc), connect(daemon.grpc)]
  try {
    for (const state of states) await state.set("k", "v")
    const startedMs = performance.now()
    strictEqual(await daemon.kill("SIGTERM"), 0)
    ok(performance.now() - startedMs < PROMPT_MS, `${performance.now() - startedMs} ms`)
  } finally {
    for (const state of states) await state.close()
    await daemon.stop()
  }
})

test("shutdown: frames that arrive while the daemon goes down are answered SHUTTING_DOWN and not applied", async () => {
  const daemon = await startDaemon({ flags: ["--partitions", "1"] })
  const client = new RawClient(daemon.grpc)
  try {
    const call = client.stub.pipeline()
    const answers: PipelineResponse[] = []
    call.on("data", (answer: PipelineResponse) => answers.push(answer))
    call.on("error", () => undefined)
    const frame = (id: number): void => {
      call.write({
        id,
        store: "",
        partition: 0,
        work: writes([`key-${id}`, "v"]),
        lineage: "",
        ...UNSEQUENCED,
      })
    }
    frame(1)
    await once(call, "data")
    const stopped = daemon.kill("SIGTERM")
    const reasonOf = ({ result }: PipelineResponse): string =>
      result?.$case === "error" ? result.value.reason : "applied"
    for (let id = 2; answers.every((answer) => reasonOf(answer) === "applied") && id < 1000; id++) {
      frame(id)
      await sleep(5)
    }
    await stopped
    const applied = answers.filter((answer) => reasonOf(answer) === "applied").map(({ id }) => id)
    const refused = answers.slice(applied.length)
    ok(refused.length > 0)
    deepStrictEqual(new Set(refused.map(reasonOf)), new Set(["SHUTTING_DOWN"]))
    const again = await daemon.restart()
    const state = connect(again.grpc)
    try {
      ok((await state.get(`key-${applied.at(-1)}`)) !== undefined)
      for (const { id } of refused) strictEqual(await state.get(`key-${id}`), undefined)
    } finally {
      await state.close()
      await again.kill("SIGTERM")
    }
  } finally {
    client.close()
    await daemon.stop()
  }
})
