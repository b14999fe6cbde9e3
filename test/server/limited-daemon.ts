// A daemon with small limits, for tests of those who do not keep to them: whatever they did, in the end it is the same
// process, and it still answers.

import { deepStrictEqual } from "node:assert"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, RawClient } from "./raw-client.ts"

export const VALUE_BYTES_MAX = 100_000
export const MESSAGE_BYTES_MAX = 524_288

const config = `
limits:
  messageBytesMax: ${MESSAGE_BYTES_MAX}
  handshakeSeconds: 1
stores:
  default: { valueBytesMax: ${VALUE_BYTES_MAX} }
  own: { engine: memory, partitioning: explicit, partitions: 2, valueBytesMax: ${VALUE_BYTES_MAX} }
`

export class LimitedDaemon {
  readonly client: RawClient
  readonly #daemon: TestDaemon
  readonly #configDirectory: string

  private constructor(daemon: TestDaemon, configDirectory: string) {
    this.client = new RawClient(daemon.grpc)
    this.#daemon = daemon
    this.#configDirectory = configDirectory
  }

  static async start(): Promise<LimitedDaemon> {
    const directory = await mkdtemp(join(tmpdir(), "varve-config-"))
    const path = join(directory, "varve.yaml")
    await writeFile(path, config)
    return new LimitedDaemon(await startDaemon({ flags: ["--config", path] }), directory)
  }

  get grpc(): string {
    return this.#daemon.grpc
  }

  get http(): string {
    return this.#daemon.http
  }

  /** @throws (rejects) when the daemon does not answer any more */
  async stop(): Promise<void> {
    await this.client.set(bytes("alive"), bytes("yes"))
    deepStrictEqual(await this.client.get(bytes("alive")), bytes("yes"))
    this.client.close()
    await this.#daemon.stop()
    await rm(this.#configDirectory, { recursive: true, force: true })
  }
}
