// A client and the small daemon that it talks to, for one test: both are gone when the test is over, the client first.

import { type ConnectOptions, connect, type State } from "@varve/client"
import { onTestFinished } from "vitest"
import { MemoryDaemon, type MemoryDaemonOptions } from "./memory-daemon.ts"

/** Pauses between attempts to connect that a test can wait for. */
const SOON = { backoffFirstMs: 5, backoffMaxMs: 50 }

export interface Pair {
  readonly daemon: MemoryDaemon
  readonly state: State
}

/** A daemon that listens, and a client of it. */
export async function pair(
  options: MemoryDaemonOptions = {},
  connectOptions: ConnectOptions = {},
): Promise<Pair> {
  const daemon = await startMemoryDaemon(options)
  return { daemon, state: open(daemon.address, connectOptions) }
}

/** A daemon that listens. */
export async function startMemoryDaemon(options: MemoryDaemonOptions = {}): Promise<MemoryDaemon> {
  const daemon = await MemoryDaemon.started(options)
  onTestFinished(() => daemon.stop())
  return daemon
}

/** A client of whoever listens at `address`, if anybody does. */
export function open(address: string, options: ConnectOptions = {}): State {
  const state = connect(address, { ...SOON, ...options })
  onTestFinished(() => state.close())
  return state
}
