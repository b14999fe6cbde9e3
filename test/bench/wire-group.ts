// Servers and clients of the `wire` suite for one size of values, and rounds over them.

import { join } from "node:path"
import { startDaemon } from "../server/daemon.ts"
import { type Child, startChild } from "./child-contender.ts"
import { ending } from "./endings.ts"
import { startEtcd } from "./etcd-server.ts"
import { startRedis } from "./redis-server.ts"
import { killWithBenchmark, makeScratch } from "./scratch.ts"
import type { CallRound } from "./wire-figures.ts"
import type { WireRound } from "./wire-load.ts"

const module = new URL("./wire-contenders.ts", import.meta.url)

export interface WireServer {
  readonly address: string
  readonly pid: number
}

/** Servers by the name of the contender that asks them. */
export type WireServers = ReadonlyMap<string, WireServer>

/** Starts what the contenders need; `stop` ends all of it. */
export async function startServers(peers: readonly string[]): Promise<{
  servers: WireServers
  stop(): Promise<void>
}> {
  const servers = new Map<string, WireServer>()
  const stops: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const each of stops.reverse()) await each()
  }
  try {
    for (const [name, listen] of [
      ["varve", () => "127.0.0.1:0"],
      ["varve-unix", (directory: string) => `unix:${join(directory, "grpc.sock")}`],
    ] as const) {
      const { server, stop: stopDaemon } = await startWireDaemon(listen)
      servers.set(name, server)
      stops.push(stopDaemon)
    }
    servers.set("varve-sessionless", servers.get("varve")!)
    if (peers.includes("redis")) {
      const { address, socket, pid, close } = await startRedis()
      servers.set("ioredis", { address, pid })
      servers.set("ioredis-single", { address, pid })
      servers.set("ioredis-unix", { address: socket, pid })
      stops.push(close)
    }
    if (peers.includes("etcd")) {
      const { address, pid, close } = await startEtcd()
      servers.set("etcd", { address, pid })
      stops.push(close)
    }
    return { servers, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Starts a daemon with default settings. @param listen where, given a directory of its own */
export async function startWireDaemon(
  listen: (directory: string) => string,
  nodeFlags: readonly string[] = [],
): Promise<{ server: WireServer; stop(): Promise<void> }> {
  const scratch = makeScratch("daemon")
  const flags = ["--grpc", listen(scratch.path)]
  const daemon = await startDaemon({ directory: scratch.path, flags, nodeFlags })
  const ended = killWithBenchmark(daemon.pid)
  const stop = ending(async () => {
    await daemon.stop()
    ended()
    await scratch.remove()
  })
  return { server: { address: daemon.grpc, pid: daemon.pid }, stop }
}

export interface WireContender {
  readonly name: string
  round(round: WireRound, seed: number): Promise<CallRound>
  close(): Promise<void>
}

/** Starts a client and sets every key. */
export async function startWireContender(
  name: string,
  server: WireServer,
  keys: number,
  valueBytes: number,
  nodeFlags: readonly string[] = [],
): Promise<WireContender> {
  const words = [name, server.address, ...[server.pid, keys, valueBytes].map(String)]
  const child: Child = await startChild(name, module, words, nodeFlags)
  return {
    name,
    round: async (round, seed) => (await child.measure(JSON.stringify(round), seed)) as CallRound,
    close: () => child.close(),
  }
}
