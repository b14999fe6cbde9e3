// Starts and stops the daemon: the directory's lock, shards, HTTP. The main thread never touches records.
//
// Start: see that the addresses are free, lock the data directory, have the threads of all shards load their modules,
// start the control plane (it starts the shards, recovers the stores, and has the shards listen), then HTTP, then the line
// "ready". Stop: readiness goes, the shards drain and close their stores, HTTP closes, the lock is given back.

import { randomBytes } from "node:crypto"
import { type DirectoryLock, NodeFileSystem } from "@varve/engines/internal"
import { softwareVersion } from "../cli/software-version.ts"
import { formatAddress, type ListenAddress } from "../config/address.ts"
import type { Settings } from "../config/settings.ts"
import { ControlPlane } from "../control/control-plane.ts"
import { endShardsAhead, startShardsAhead } from "../control/shard-worker.ts"
import { loadModule } from "../load-module.ts"
import type { Log } from "../log.ts"
import { checkAddresses } from "./check-addresses.ts"
import { takeDataDirectory } from "./data-directory.ts"
import type * as Http from "./http-server.ts"
import { nodeVersionWarning } from "./node-versions.ts"

export interface Daemon {
  /** Of the first shard, and of HTTP. */
  readonly addresses: { readonly grpc: ListenAddress; readonly http: ListenAddress }
  /** Drains, keeps everything and frees what the daemon holds. @throws (rejects) when a store could not be closed */
  close(): Promise<void>
}

/** How long calls that run at the stop may take, and how long the shards have in all. */
const DRAIN_GRACE_MS = 3000
const CLOSE_TIMEOUT_MS = 9000
const INSTANCE_BYTES = 8

/**
 * Resolves when the daemon serves.
 * @throws (rejects) SettingsError, EngineError (`DIRECTORY_LOCKED` and others) and the system's errors; nothing is then
 * left running
 */
export async function startDaemon(settings: Settings, log: Log): Promise<Daemon> {
  const startedMs = Date.now()
  const warning = nodeVersionWarning(process.versions.node, startedMs)
  if (warning !== undefined) log.warn("node-outdated", warning)
  await checkAddresses(settings)
  const lock = await takeDataDirectory(new NodeFileSystem(), settings.dataDir)
  try {
    startShardsAhead(settings.shards)
    const instance = randomBytes(INSTANCE_BYTES).toString("hex")
    const identity = { softwareVersion: softwareVersion(), instance, startedMs }
    // Loaded while the shards load their modules.
    const { HttpServer } = await loadModule<typeof Http>("./http-server.ts", import.meta.url)
    const plane = await ControlPlane.open(settings, identity, log)
    try {
      const http = await HttpServer.open(settings, plane, log)
      const daemon = new RunningDaemon(plane, http, lock)
      log.info("ready", "the daemon serves", {
        grpc: formatAddress(daemon.addresses.grpc),
        http: formatAddress(daemon.addresses.http),
        shards: settings.shards,
        dataDir: settings.dataDir,
        repository: settings.repository,
        version: identity.softwareVersion,
        pid: process.pid,
      })
      return daemon
    } catch (error) {
      await plane.close(0, CLOSE_TIMEOUT_MS)
      throw error
    }
  } catch (error) {
    await endShardsAhead()
    await lock.release()
    throw error
  }
}

class RunningDaemon implements Daemon {
  readonly #plane: ControlPlane
  readonly #http: Http.HttpServer
  readonly #lock: DirectoryLock

  constructor(plane: ControlPlane, http: Http.HttpServer, lock: DirectoryLock) {
    this.#plane = plane
    this.#http = http
    this.#lock = lock
  }

  get addresses(): Daemon["addresses"] {
    return { grpc: this.#plane.shards.address, http: this.#http.address }
  }

  async close(): Promise<void> {
    this.#http.isReady = false
    try {
      await this.#plane.close(DRAIN_GRACE_MS, CLOSE_TIMEOUT_MS)
    } finally {
      await this.#http.close()
      await this.#lock.release()
    }
  }
}
