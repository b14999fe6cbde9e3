// Starts and stops the daemon: the directory's lock, one shard, HTTP. The main thread never touches records.
//
// Start: see that the addresses are free, lock the data directory, start the shard (it recovers the stores and
// listens), then HTTP, then the line "ready". Stop: readiness goes, the shard drains and closes its stores, HTTP closes, the lock is given back.

import { randomBytes } from "node:crypto"
import { EngineError, isEngineError } from "@varve/engines"
import { type DirectoryLock, NodeFileSystem } from "@varve/engines/internal"
import { softwareVersion } from "../cli/software-version.ts"
import { formatAddress, type ListenAddress } from "../config/address.ts"
import type { Settings } from "../config/settings.ts"
import type { Log } from "../log.ts"
import { ShardClient } from "../shard/shard-client.ts"
import { checkAddresses } from "./check-addresses.ts"
import { HttpServer } from "./http-server.ts"
import { nodeVersionWarning } from "./node-versions.ts"

export interface Daemon {
  readonly addresses: { readonly grpc: ListenAddress; readonly http: ListenAddress }
  /** Resolves when the shard has ended: undefined after `close`, otherwise what it died of. */
  readonly ended: Promise<Error | undefined>
  /** Drains, keeps everything and frees what the daemon holds. @throws (rejects) when a store could not be closed */
  close(): Promise<void>
}

/** How long calls that run at the stop may take, and how long the shard has in all. */
const DRAIN_GRACE_MS = 3000
const CLOSE_TIMEOUT_MS = 9000
const INSTANCE_BYTES = 8

/**
 * Resolves when the daemon serves.
 * @throws (rejects) SettingsError, ShardRefusedError, EngineError `DIRECTORY_LOCKED` and the system's errors;
 * nothing is then left running
 */
export async function startDaemon(settings: Settings, log: Log): Promise<Daemon> {
  const startedMs = Date.now()
  const warning = nodeVersionWarning(process.versions.node, startedMs)
  if (warning !== undefined) log.warn("node-outdated", warning)
  const fileSystem = new NodeFileSystem()
  await checkAddresses(settings)
  await fileSystem.makeDirectory(settings.dataDir)
  const lock = await lockDirectory(fileSystem, settings.dataDir)
  try {
    const instance = randomBytes(INSTANCE_BYTES).toString("hex")
    const start = { settings, softwareVersion: softwareVersion(), instance, startedMs }
    const shard = await ShardClient.start(start, log)
    try {
      const http = await HttpServer.open(settings.http, shard)
      const daemon = new RunningDaemon(shard, http, lock)
      log.info("ready", "the daemon serves", {
        grpc: formatAddress(daemon.addresses.grpc),
        http: formatAddress(daemon.addresses.http),
        dataDir: settings.dataDir,
        repository: settings.repository,
        version: start.softwareVersion,
        pid: process.pid,
      })
      return daemon
    } catch (error) {
      await shard.call("close", { graceMs: 0 }, CLOSE_TIMEOUT_MS)
      throw error
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

async function lockDirectory(fileSystem: NodeFileSystem, directory: string): Promise<DirectoryLock> {
  try {
    return await fileSystem.lock(directory)
  } catch (error) {
    if (!isEngineError(error, "DIRECTORY_LOCKED")) throw error
    const message = `${error.message}: stop that process, or give another directory (--data-dir DIR)`
    throw new EngineError(error.reason, message, { cause: error })
  }
}

class RunningDaemon implements Daemon {
  readonly #shard: ShardClient
  readonly #http: HttpServer
  readonly #lock: DirectoryLock

  constructor(shard: ShardClient, http: HttpServer, lock: DirectoryLock) {
    this.#shard = shard
    this.#http = http
    this.#lock = lock
  }

  get addresses(): Daemon["addresses"] {
    return { grpc: this.#shard.address, http: this.#http.address }
  }

  get ended(): Promise<Error | undefined> {
    return this.#shard.ended
  }

  async close(): Promise<void> {
    this.#http.isReady = false
    try {
      await this.#shard.call("close", { graceMs: DRAIN_GRACE_MS }, CLOSE_TIMEOUT_MS)
      await this.#shard.ended
    } finally {
      await this.#shard.terminate()
      await this.#http.close()
      await this.#lock.release()
    }
  }
}
