// A container as an orchestrator runs one that is locked down: by runc, as the image's user, root read-only, without
// capabilities, in a network of its own that has loopback alone. Its first process is the image's.

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout } from "node:timers/promises"
import type { ImageConfiguration } from "./image-store.ts"
import { type Ended, run, tryRun } from "./run.ts"

/** Of the user `node`. */
const USER = 1000
const STOP_MS = 30_000
const none: readonly string[] = []

export interface LogLine {
  readonly event: string
  readonly [field: string]: unknown
}

export class Container {
  readonly log: LogLine[] = []
  readonly #folder: string
  readonly #name: string
  /** Names the first process, as this machine numbers it. */
  readonly #pidFile: string
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>

  private constructor(folder: string, name: string) {
    this.#folder = folder
    this.#name = name
    this.#pidFile = join(folder, "pid")
    const args = ["run", "--bundle", folder, "--pid-file", this.#pidFile, name]
    this.#child = spawn("runc", this.#arguments(args), { stdio: ["pipe", "pipe", "inherit"] })
    this.#ended = once(this.#child, "exit").then(([code]) => code as number | null)
  }

  /**
   * Starts the image's process, and ends it when the act has failed before it did.
   * @param root the image's root file system
   * @param data the folder that it sees as /data
   */
  static async use(
    root: string,
    image: ImageConfiguration,
    data: string,
    act: (container: Container) => Promise<void>,
  ): Promise<void> {
    const container = await Container.#start(root, image, data)
    try {
      await act(container)
    } finally {
      if (!container.#isGone()) await container.stop("KILL")
      await rm(container.#folder, { recursive: true, force: true })
    }
  }

  static async #start(root: string, image: ImageConfiguration, data: string): Promise<Container> {
    const folder = await mkdtemp(join(tmpdir(), "varve-container-"))
    await mkdir(data, { recursive: true })
    await chown(data, USER, USER)
    await writeFile(join(folder, "config.json"), JSON.stringify(specification(root, image, data)))
    return new Container(folder, `varve-${process.pid}-${Date.now()}`)
  }

  #arguments(args: readonly string[]): string[] {
    return ["--root", join(this.#folder, "state"), ...args]
  }

  /** Resolves when the process has logged the event. @throws (rejects) with its log when it ends before */
  async until(event: string): Promise<void> {
    for await (const line of createInterface({ input: this.#child.stdout! })) {
      this.log.push(JSON.parse(line) as LogLine)
      if (this.log.at(-1)!.event === event) return
    }
    throw new Error(`the container ended with code ${await this.#ended}: ${JSON.stringify(this.log)}`)
  }

  /** Runs a program in the container, as the image's user. */
  execute(...command: string[]): Promise<Ended> {
    return tryRun("runc", this.#arguments(["exec", this.#name, ...command]))
  }

  /** Runs a program of this machine in the container's network. */
  async fromItsNetwork(program: string, ...args: string[]): Promise<Ended> {
    const pid = readFileSync(this.#pidFile, "utf8")
    return tryRun("nsenter", ["--target", pid, "--net", program, ...args])
  }

  /** Sends its first process a signal; resolves the exit code when it is gone. */
  async stop(signal: string): Promise<number | null> {
    await run("runc", this.#arguments(["kill", this.#name, signal]))
    return await this.#ended
  }

  /** Sends a signal until the first process is gone; resolves its exit code. @throws (rejects) when it stays */
  async stopInTime(signal: string): Promise<number | null> {
    const endMs = performance.now() + STOP_MS
    for (; performance.now() < endMs && !this.#isGone(); await setTimeout(50))
      await tryRun("runc", this.#arguments(["kill", this.#name, signal]))
    if (!this.#isGone()) throw new Error(`${signal} does not end the first process`)
    return await this.#ended
  }

  #isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }
}

/** See the runtime specification of the Open Container Initiative. */
function specification(root: string, image: ImageConfiguration, data: string): object {
  const mount = (destination: string, type: string, source: string, options: readonly string[]): object => ({
    destination,
    type,
    source,
    options,
  })
  return {
    ociVersion: "1.0.2",
    root: { path: root, readonly: true },
    hostname: "varve",
    process: {
      terminal: false,
      user: { uid: USER, gid: USER },
      args: [...image.Entrypoint, ...image.Cmd],
      env: image.Env,
      cwd: image.WorkingDir,
      noNewPrivileges: true,
      capabilities: { bounding: none, effective: none, inheritable: none, permitted: none, ambient: none },
    },
    mounts: [
      mount("/proc", "proc", "proc", none),
      mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=64k"]),
      mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777"]),
      mount("/data", "bind", data, ["rbind", "rw"]),
    ],
    linux: {
      namespaces: ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type })),
      maskedPaths: ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
      readonlyPaths: ["/proc/sys", "/proc/sysrq-trigger"],
    },
  }
}
