// A real S3 server for tests: Ceph's gateway over one monitor and one OSD that keeps everything in memory. All of it
// lies in a temporary directory and listens on free ports of the loopback; it is up in seconds.
//
//     const gateway = await startRadosGateway()
//     process.env.AWS_ACCESS_KEY_ID = gateway.accessKey …      gateway.endpoint
//     await gateway.stop()                                     by pid; the directory goes too
//
// Debian's packages radosgw, ceph-mon and ceph-osd are installed when they are missing, which takes about a minute
// and asks for root.

import { type ChildProcess, execFile, spawn } from "node:child_process"
import { randomBytes, randomUUID } from "node:crypto"
import { once } from "node:events"
import { accessSync, closeSync, constants, openSync } from "node:fs"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"

const run = promisify(execFile)

const programs = ["ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"]
const packages = ["radosgw", "ceph-mon", "ceph-osd"]
const INSTALL_MS = 600_000
const STEP_MS = 60_000
const POLL_MS = 50

export class RadosGateway {
  readonly endpoint: string
  readonly accessKey = "varve-test"
  readonly secretKey: string = randomBytes(15).toString("hex")
  readonly #directory: string
  readonly #children: ChildProcess[] = []

  constructor(directory: string, port: number) {
    this.#directory = directory
    this.endpoint = `http://127.0.0.1:${port}`
  }

  /** The variables by which Amazon's SDK finds the credentials, and no other source of them. */
  get environment(): Record<string, string> {
    return { AWS_ACCESS_KEY_ID: this.accessKey, AWS_SECRET_ACCESS_KEY: this.secretKey }
  }

  /** @throws (rejects) with what the servers logged when one does not come up */
  async start(fsid: string): Promise<void> {
    process.once("exit", this.#killAll)
    const [ceph, ...config] = ["ceph", "-c", join(this.#directory, "ceph.conf")]
    const path = (name: string): string => join(this.#directory, name)
    const [monitor] = /v2:[^\s]+/.exec(await readFile(path("ceph.conf"), "utf8"))!
    await run("monmaptool", ["--create", "--fsid", fsid, "--addv", "a", `[${monitor}]`, path("monmap")])
    await run("ceph-mon", [
      ...config,
      ...["--mkfs", "-i", "a", "--monmap", path("monmap"), "--keyring", path("keyring")],
    ])
    this.#spawn("ceph-mon", [...config, "-i", "a", "-f"])
    await this.#until("the monitor", () => run(ceph!, [...config, "osd", "create"], { timeout: STEP_MS }))
    await run("ceph-osd", [...config, "-i", "0", "--mkfs"])
    this.#spawn("ceph-osd", [...config, "-i", "0", "-f"])
    await this.#until("the OSD", async () => {
      const { stdout } = await run(ceph!, [...config, "osd", "stat"], { timeout: STEP_MS })
      if (!stdout.includes("1 up")) throw new Error(stdout)
    })
    this.#spawn("radosgw", [...config, "-n", "client.rgw", "-f"])
    await this.#until("the gateway", () => fetch(this.endpoint).then((answer) => answer.arrayBuffer()))
    await run("radosgw-admin", [
      ...[...config, "-n", "client.rgw", "--admin-socket", path("admin.asok")],
      ...["user", "create", "--uid=test", "--display-name=test"],
      ...[`--access-key=${this.accessKey}`, `--secret-key=${this.secretKey}`],
    ])
  }

  /** Ends the servers, which keep nothing, and removes the directory. */
  async stop(): Promise<void> {
    process.off("exit", this.#killAll)
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const gone = once(child, "exit")
      child.kill("SIGKILL")
      await gone
    }
    await rm(this.#directory, { recursive: true, force: true })
  }

  readonly #killAll = (): void => {
    for (const child of this.#children) child.kill("SIGKILL")
  }

  #spawn(program: string, args: readonly string[]): void {
    const log = openSync(join(this.#directory, `${program}.out`), "a")
    this.#children.push(spawn(program, args, { stdio: ["ignore", log, log] }))
    closeSync(log)
  }

  /** Tries until `step` resolves. */
  async #until(what: string, step: () => Promise<unknown>): Promise<void> {
    const endMs = performance.now() + STEP_MS
    for (;;) {
      try {
        await step()
        return
      } catch (error) {
        const ended = this.#children.find((child) => child.exitCode !== null || child.signalCode !== null)
        if (ended === undefined && performance.now() < endMs) await sleep(POLL_MS)
        else throw new Error(`${what} did not come up: ${String(error)}\n${await this.#logs()}`)
      }
    }
  }

  async #logs(): Promise<string> {
    const names = this.#children.map(({ spawnfile }) => `${spawnfile}.out`)
    const texts = await Promise.all(names.map((name) => readFile(join(this.#directory, name), "utf8")))
    return names.map((name, i) => `--- ${name}\n${texts[i]!.slice(-2000)}`).join("\n")
  }
}

/** Resolves when the server answers and its one user may make buckets. */
export async function startRadosGateway(): Promise<RadosGateway> {
  await installPackages()
  const directory = await mkdtemp(join(tmpdir(), "varve-rados-"))
  const [monitorPort, gatewayPort] = [await freePort(), await freePort()]
  const fsid = randomUUID()
  await Promise.all(["mon", "osd", "gateway"].map((name) => mkdir(join(directory, name))))
  await writeFile(join(directory, "ceph.conf"), configuration(directory, fsid, monitorPort, gatewayPort))
  await writeFile(join(directory, "keyring"), keyring(["mon.", "client.admin", "client.rgw", "osd.0"]))
  const gateway = new RadosGateway(directory, gatewayPort)
  try {
    await gateway.start(fsid)
    return gateway
  } catch (error) {
    await gateway.stop()
    throw error
  }
}

function configuration(directory: string, fsid: string, monitorPort: number, gatewayPort: number): string {
  return `[global]
fsid = ${fsid}
mon host = v2:127.0.0.1:${monitorPort}
public addr = 127.0.0.1
keyring = ${directory}/keyring
run dir = ${directory}
admin socket = ${directory}/$name.asok
log to file = false
log to stderr = true
mon cluster log to file = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 2147483648
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 2
mon tick interval = 1
paxos propose interval = 0.05
paxos min wait = 0.02
[mon.a]
mon data = ${directory}/mon
[osd.0]
osd data = ${directory}/osd
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${gatewayPort}
rgw data = ${directory}/gateway
rgw dns name = localhost
`
}

/** Keys that may do everything. A key: type 1 and no time (10 bytes), its length (2), itself. */
function keyring(names: readonly string[]): string {
  return names
    .map((name) => {
      const header = Buffer.alloc(12)
      header.writeUInt16LE(1, 0)
      header.writeUInt16LE(16, 10)
      const key = Buffer.concat([header, randomBytes(16)]).toString("base64")
      return `[${name}]\n\tkey = ${key}\n\tcaps mon = "allow *"\n\tcaps osd = "allow *"\n`
    })
    .join("")
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, "close")
  return port
}

async function installPackages(): Promise<void> {
  const missing = programs.filter((name) => !isInstalled(name))
  if (missing.length === 0) return
  if (process.getuid?.() !== 0) {
    throw new Error(
      `${missing.join(", ")} missing: apt-get install --no-install-recommends ${packages.join(" ")}`,
    )
  }
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  await run("apt-get", ["update", "-qq"], { timeout: INSTALL_MS, env: environment })
  const install = ["install", "-y", "-qq", "--no-install-recommends", ...packages]
  await run("apt-get", install, { timeout: INSTALL_MS, env: environment })
}

function isInstalled(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
