// A real Prometheus: Debian's, on a free port, with everything in a temporary directory.
//
//     const prometheus = await PrometheusServer.start(configuration)       of YAML, as a value
//     await prometheus.query("up")                                         what holds now
//     await prometheus.stop()                                              by its pid; the directory goes too

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"

/** Then it hangs: it is killed, and the test fails. */
const START_MS = 30_000

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

export interface RuleState {
  readonly name: string
  readonly query: string
  readonly health: string
  readonly lastError?: string
  readonly alerts?: readonly { readonly annotations: Readonly<Record<string, string>> }[]
}

export class PrometheusServer {
  readonly #child: ChildProcess
  readonly #directory: string
  readonly #url: string

  private constructor(child: ChildProcess, directory: string, address: string) {
    this.#child = child
    this.#directory = directory
    this.#url = `http://${address}/api/v1`
  }

  /** Resolves when it takes queries. @throws (rejects) with what it logged when it does not start */
  static async start(configuration: object): Promise<PrometheusServer> {
    const directory = await mkdtemp(join(tmpdir(), "varve-prometheus-"))
    const config = join(directory, "prometheus.json") // JSON is YAML
    await writeFile(config, JSON.stringify(configuration))
    const flags = [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(directory, "series")}`,
      "--web.listen-address=127.0.0.1:0",
    ]
    const child = spawn("prometheus", flags, { stdio: ["ignore", "ignore", "pipe"] })
    const log: string[] = []
    const ready = new Promise<string>((resolve) => {
      createInterface({ input: child.stderr }).on("line", (line) => {
        log.push(line)
        if (!line.includes("Server is ready")) return
        resolve(/msg="Listening on" address=(\S+)/.exec(log.join("\n"))![1]!)
      })
    })
    const timer = setTimeout(() => child.kill("SIGKILL"), START_MS)
    const address = await Promise.race([ready, once(child, "exit").then(() => undefined)])
    clearTimeout(timer)
    if (address !== undefined) return new PrometheusServer(child, directory, address)
    await rm(directory, { recursive: true, force: true })
    throw new Error(`prometheus did not start; test/install-servers.sh installs it\n${log.join("\n")}`)
  }

  /**
   * The series that `expression` yields now, or yielded at `moment`, in seconds since 1970.
   * @throws (rejects) with Prometheus's message when it makes no sense
   */
  async query(expression: string, moment?: number): Promise<Sample[]> {
    const time = moment === undefined ? "" : `&time=${moment}`
    const answer = (await this.#get(`query?query=${encodeURIComponent(expression)}${time}`)) as
      | { resultType: "vector"; result: { metric: Record<string, string>; value: [number, string] }[] }
      | { resultType: "scalar"; result: [number, string] }
    if (answer.resultType === "scalar") return [{ metric: {}, value: Number(answer.result[1]) }]
    return answer.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
  }

  /** Values of a label: what Grafana asks for to fill a choice. */
  async labelValues(label: string, selector: string): Promise<string[]> {
    return (await this.#get(`label/${label}/values?match[]=${encodeURIComponent(selector)}`)) as string[]
  }

  async rules(): Promise<RuleState[]> {
    const { groups } = (await this.#get("rules")) as { groups: { rules: RuleState[] }[] }
    return groups.flatMap(({ rules }) => rules)
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, "exit")
      this.#child.kill("SIGTERM")
      await gone
    }
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #get(path: string): Promise<unknown> {
    const response = await fetch(`${this.#url}/${path}`)
    const { data, error } = (await response.json()) as { data?: unknown; error?: string }
    if (error !== undefined) throw new Error(error)
    return data
  }
}
