// redis-benchmark: the least that a client in C needs for the same, 64 commands a batch.

import { runPeer } from "./peer-process.ts"

const CLIENTS = 50
export const redisBenchmarkFlags = ["-P", "64", "-c", String(CLIENTS)]

/** Operations a second of one command (`set`, `get`), at random keys of `keys`. */
export async function runRedisBenchmark(
  address: string,
  command: "set" | "get",
  keys: number,
  valueBytes: number,
  operations: number,
): Promise<number> {
  const [host, port] = address.split(":")
  const sizes = { n: operations, r: keys, d: valueBytes }
  const output = await runPeer("redis-benchmark", [
    "-h",
    host!,
    "-p",
    port!,
    "-t",
    command,
    "-q",
    ...redisBenchmarkFlags,
    ...Object.entries(sizes).flatMap(([flag, size]) => [`-${flag}`, String(size)]),
  ])
  const rate = /([\d.]+) requests per second/.exec(output)?.[1]
  if (rate === undefined) throw new Error(`redis-benchmark printed no rate:\n${output}`)
  return Number(rate)
}
