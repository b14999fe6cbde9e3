// The life of two daemons as real processes over one repository in a directory: one of them serves, is killed, stopped in
// the middle and woken too late, while the other one takes the store; versions are pruned and garbage is collected by the
// command line. Beside it a plain map.

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { engineNames } from "@varve/engines"
import { runVarveHere } from "../cli/run-varve.ts"
import { startDaemon, type TestDaemon } from "../server/daemon.ts"
import { bytes, RawClient } from "../server/raw-client.ts"
import { SimulatedRandom } from "../simulation/index.ts"
import type { State } from "./known-versions.ts"
import { differenceOf } from "./seat.ts"

const KEY_COUNT = 60
const STEPS_TOLD = 30

interface Version {
  readonly version: number
  readonly timeline: string
  readonly state: State
}

/** A daemon's place: its directory, and its process while it has one. */
interface Place {
  readonly index: number
  readonly flags: readonly string[]
  readonly isLogged: boolean
  directory: string | undefined
  daemon: TestDaemon | undefined
  client: RawClient | undefined
}

export class DaemonLife {
  readonly random: SimulatedRandom
  readonly told: string[] = []
  readonly counts = new Map<string, number>()
  readonly #directories: string[] = []
  #repository = ""
  #places: Place[] = []
  /** The one that has the store. */
  #active!: Place
  #present = new Map<string, string>()
  /** The newest version of the line that is served; undefined: none. */
  #base: Version | undefined
  #versions: Version[] = []
  /** A version that one partition may have committed, and the other one not. */
  #numberMin = 1
  #step = 0

  constructor(seed: number) {
    this.random = new SimulatedRandom(seed)
  }

  async open(): Promise<void> {
    this.#repository = await this.#directory()
    const engine = this.random.pick(engineNames)
    this.#tell(engine)
    this.#places = [true, false].map((isLogged, index) => ({
      index,
      isLogged,
      flags: [
        "--engine",
        engine,
        "--partitions",
        "2",
        "--durability",
        isLogged ? "log" : "snapshot",
        "--repository",
        `file:${this.#repository}`,
      ],
      directory: undefined,
      daemon: undefined,
      client: undefined,
    }))
    this.#active = this.#places[0]!
    await this.#start(this.#active)
  }

  async step(): Promise<void> {
    this.#step++
    const dice = this.random.integer(100)
    if (dice < 45) await this.#write()
    else if (dice < 55) await this.#compare()
    else if (dice < 72) await this.#snapshot()
    else if (dice < 79) await this.#restore()
    else if (dice < 84) await this.#kill()
    else if (dice < 87) await this.#killInSnapshot()
    else if (dice < 91) await this.#takeOver()
    else if (dice < 96) await this.#prune()
    else await this.#collect()
  }

  /** One step of each kind. */
  async stepEach(): Promise<void> {
    for (const step of [
      () => this.#write(),
      () => this.#snapshot(),
      () => this.#write(),
      () => this.#killInSnapshot(),
      () => this.#takeOver(),
      () => this.#restore(),
      () => this.#prune(),
      () => this.#kill(),
      () => this.#collect(),
    ]) {
      this.#step++
      await step()
    }
  }

  /** The last state, from a repository in which nothing is left that no version needs. */
  async end(): Promise<void> {
    await this.#snapshot()
    await this.#collect()
    await this.#compare()
    for (const { version, timeline, state } of [...this.#versions]) {
      await this.#active.client!.restore({ version: BigInt(version), timeline })
      this.#present = new Map(state)
      await this.#compare()
    }
  }

  /** Ends every process, however it stands, and removes every directory. */
  async close(): Promise<void> {
    for (const { daemon, client } of this.#places) {
      client?.close()
      await daemon?.kill("SIGKILL")
    }
    for (const directory of this.#directories) await rm(directory, { recursive: true, force: true })
  }

  async #write(): Promise<void> {
    for (let i = 1 + this.random.integer(10); i > 0; i--) {
      const key = `key:${this.random.integer(KEY_COUNT)}`
      const value = this.random.oneIn(5) ? "" : `${this.#step}${"x".repeat(this.random.integer(2000))}`
      await this.#active.client!.set(bytes(key), bytes(value))
      if (value === "") this.#present.delete(key)
      else this.#present.set(key, value)
    }
    this.#count("writes")
  }

  async #compare(client = this.#active.client!): Promise<void> {
    const keys = Array.from({ length: KEY_COUNT }, (_, i) => `key:${i}`)
    const values = await client.getMany(keys.map(bytes))
    const found = new Map<string, string>()
    for (const [i, value] of values.entries()) {
      if (value !== undefined) found.set(keys[i]!, Buffer.from(value).toString())
    }
    const difference = differenceOf(found, this.#present)
    if (difference !== undefined) throw new Error(difference)
    await this.#compareListing()
  }

  /** What was acknowledged is listed, and nothing else is complete. */
  async #compareListing(): Promise<void> {
    const listed = (await this.#active.client!.listSnapshots()).filter(({ complete }) => complete)
    const names = listed.map(({ timeline, version }) => `${timeline}/${version}`).sort()
    const expected = this.#versions.map(({ timeline, version }) => `${timeline}/${version}`).sort()
    if (names.join() !== expected.join())
      throw new Error(`listed: ${names.join()}; expected: ${expected.join()}`)
  }

  async #snapshot(): Promise<void> {
    const version = this.#nextNumber() + this.random.integer(2)
    this.#tell(`version ${version}`)
    const { timeline } = await this.#active.client!.snapshot(version)
    this.#note(version, timeline)
  }

  #note(version: number, timeline: string): void {
    this.#base = { version, timeline, state: new Map(this.#present) }
    this.#versions.push(this.#base)
    this.#count("versions")
  }

  async #restore(): Promise<void> {
    if (this.#versions.length === 0) return
    const chosen = this.random.pick(this.#versions)
    const mode = this.random.oneIn(2) ? "eager" : "lazy"
    this.#tell(`${chosen.timeline}/${chosen.version} is put back, ${mode}`)
    await this.#active.client!.restore({ version: BigInt(chosen.version), timeline: chosen.timeline, mode })
    this.#base = chosen
    this.#present = new Map(chosen.state)
    await this.#compare()
    this.#count("restores")
  }

  async #kill(): Promise<void> {
    const signal = this.random.oneIn(3) ? "SIGTERM" : "SIGKILL"
    this.#tell(`daemon ${this.#active.index} gets ${signal}`)
    await this.#end(this.#active, signal)
    if (signal === "SIGKILL" && !this.#active.isLogged) this.#present = new Map(this.#base?.state)
    await this.#start(this.#active)
    await this.#compare()
    this.#count(signal)
  }

  /** Whether the version came to be is for the repository to say. */
  async #killInSnapshot(): Promise<void> {
    const version = this.#nextNumber()
    this.#numberMin = version + 1
    this.#tell(`daemon ${this.#active.index} is killed in version ${version}`)
    const taken = this.#active.client!.snapshot(version).then(
      () => true,
      () => false,
    )
    for (let turns = this.random.integer(30); turns > 0; turns--)
      await new Promise((resolve) => setImmediate(resolve))
    await this.#end(this.#active, "SIGKILL")
    const wasAnswered = await taken
    await this.#start(this.#active)
    const listed = (await this.#active.client!.listSnapshots()).filter(({ complete }) => complete)
    const found = listed.find(
      (each) =>
        Number(each.version) === version &&
        !this.#versions.some((known) => known.version === version && known.timeline === each.timeline),
    )
    if (found === undefined && wasAnswered)
      throw new Error(`version ${version} was acknowledged, and is not listed`)
    if (found !== undefined) this.#note(version, found.timeline)
    else if (!this.#active.isLogged) this.#present = new Map(this.#base?.state)
    await this.#compare()
    this.#count("kills in a version")
  }

  /** The active daemon is stopped, the other one takes the store; the first one wakes and comes too late. */
  async #takeOver(): Promise<void> {
    await this.#snapshot()
    const [old, next] = [this.#active, this.#places[1 - this.#active.index]!]
    this.#tell(`daemon ${old.index} sleeps, daemon ${next.index} takes the store`)
    await this.#write()
    process.kill(old.daemon!.pid, "SIGSTOP")
    this.#active = next
    // What was not in the version is not for the next owner.
    this.#present = new Map(this.#base!.state)
    await this.#start(next)
    await this.#compare()
    await this.#write()
    if (this.random.oneIn(2)) await this.#snapshot()
    process.kill(old.daemon!.pid, "SIGCONT")
    await this.#expectFenced(old.client!)
    await this.#compare()
    await this.#end(old, this.random.oneIn(2) ? "SIGTERM" : "SIGKILL")
    this.#count("takeovers")
  }

  async #expectFenced(client: RawClient): Promise<void> {
    const version = this.#nextNumber() + 5
    try {
      await client.snapshot(version)
    } catch (error) {
      if ((error as { reason?: string }).reason === "OWNER_FENCED") return
      throw error
    }
    throw new Error(`version ${version} was acknowledged by who had lost the store`)
  }

  async #prune(): Promise<void> {
    const keep = 1 + this.random.integer(4)
    this.#tell(`all but ${keep} versions are pruned`)
    const said = await run(
      "snapshots",
      "prune",
      "--keep-last",
      String(keep),
      "--json",
      "--address",
      this.#active.daemon!.grpc,
    )
    const decisions = JSON.parse(said) as { version: number; timeline: string; kept: boolean }[]
    for (const { version, timeline, kept } of decisions) {
      if (kept) continue
      if (this.#base?.version === version && this.#base.timeline === timeline)
        throw new Error(`version ${version} was served, and was pruned`)
      this.#versions = this.#versions.filter(
        (each) => each.version !== Number(version) || each.timeline !== timeline,
      )
      this.#count("versions removed")
    }
    await this.#compareListing()
  }

  /** Beside the daemon nothing young is touched; without one everything goes that no version needs. */
  async #collect(): Promise<void> {
    const isNewDirectory = this.random.oneIn(2)
    if (isNewDirectory) await this.#snapshot()
    const repository = ["--repository", `file:${this.#repository}`, "--json"]
    await run("gc", ...repository, "--grace", "12h")
    await this.#compare()
    this.#tell(`garbage is collected, daemon ${this.#active.index} stopped`)
    await this.#end(this.#active, "SIGTERM")
    for (let round = 0; round < 3; round++) {
      const said = await run("gc", ...repository, "--exclusive", "--grace", "0", "--live-min", "0.5")
      this.#count("packs removed", (JSON.parse(said) as { removed: number }).removed)
    }
    // In a new directory everything comes from the repository.
    if (isNewDirectory) this.#active.directory = undefined
    await this.#start(this.#active)
    await this.#compare()
  }

  #nextNumber(): number {
    return Math.max(this.#numberMin, (this.#base?.version ?? 0) + 1)
  }

  async #start(place: Place): Promise<void> {
    place.directory ??= await this.#directory()
    place.daemon = await startDaemon({ flags: place.flags, directory: place.directory })
    place.client = new RawClient(place.daemon.grpc)
  }

  async #end({ daemon, client }: Place, signal: NodeJS.Signals): Promise<void> {
    client?.close()
    await daemon?.kill(signal)
  }

  async #directory(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), "varve-life-"))
    this.#directories.push(directory)
    return directory
  }

  #count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by)
  }

  #tell(what: string): void {
    this.told.push(`${this.#step} ${what}`)
    if (this.told.length > STEPS_TOLD) this.told.shift()
  }
}

async function run(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runVarveHere(words)
  if (code !== 0) throw new Error(`varve ${words.join(" ")}: ${code} ${stderr}`)
  return stdout.toString()
}
