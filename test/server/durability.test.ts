// Durability `log` with real processes and real files.

import { deepStrictEqual, strictEqual } from "node:assert"
import { onTestFinished, test } from "vitest"
import { killRounds } from "../bench/kill-rounds.ts"
import { startDaemon } from "./daemon.ts"
import { bytes, RawClient } from "./raw-client.ts"

test.each([
  ["hybrid-log", 2],
  ["memory", 1],
] as const)(
  "%s: after kill -9 amid writes every acknowledged one is there, %i times",
  { timeout: 60_000 },
  async (engine, rounds) => {
    const { lost, wrong, recoveries } = await killRounds({ rounds, writers: 64, engine })
    deepStrictEqual({ lost, wrong, recoveries }, { lost: 0, wrong: 0, recoveries: ["replayed"] })
  },
)

test("a store may turn its log on and off; what Describe and the metrics say", {
  timeout: 60_000,
}, async () => {
  const first = await startDaemon()
  onTestFinished(() => first.stop())
  const write = async (grpc: string, key: string): Promise<void> => {
    const client = new RawClient(grpc)
    await client.set(bytes(key), bytes("kept"))
    client.close()
  }
  await write(first.grpc, "a")
  await first.kill("SIGTERM")
  const flags = ["--durability", "log"]
  const second = await first.restart({ flags })
  onTestFinished(() => second.stop())
  await write(second.grpc, "b")
  const metrics = await (await fetch(`${second.http}/metrics`)).text()
  strictEqual(/varve_log_writes_total\{[^}]*\} 1$/m.test(metrics), true)
  strictEqual(/varve_log_syncs_total\{[^}]*\} 1$/m.test(metrics), true)
  await second.kill("SIGKILL")
  const third = await second.restart({ flags: [] })
  onTestFinished(() => third.stop())
  const client = new RawClient(third.grpc)
  onTestFinished(() => client.close())
  const values = await client.getMany(["a", "b"].map(bytes))
  deepStrictEqual(
    values.map((value) => value !== undefined && Buffer.from(value).toString()),
    ["kept", "kept"],
  )
  const [store] = (await client.describe()).stores
  strictEqual(store!.durability, "snapshot")
  deepStrictEqual(new Set(store!.partitions.map(({ recovery }) => recovery)), new Set(["replayed"]))
})
