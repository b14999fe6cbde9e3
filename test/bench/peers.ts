// Programs that the benchmarks measure against, from the system's packages. Installed when missing; that needs
// Debian or a relative, and root.

import { execFileSync, spawnSync } from "node:child_process"

const packageOfProgram = {
  "redis-server": "redis-server",
  db_bench: "rocksdb-tools",
  etcd: "etcd-server",
} as const

export type PeerProgram = keyof typeof packageOfProgram

/** Makes sure that `program` can be run. @throws Error that says what to install by hand */
export function needProgram(program: PeerProgram): void {
  if (isThere(program)) return
  const name = packageOfProgram[program]
  process.stderr.write(`${program} is missing: installing ${name}\n`)
  try {
    apt("update")
    apt("install", "-y", "--no-install-recommends", name)
  } catch (error) {
    throw new Error(`${program} is missing and cannot be installed here: install the package ${name}`, {
      cause: error,
    })
  }
  if (!isThere(program)) throw new Error(`${name} is installed, but ${program} is not on the path`)
}

/** First line that `program` prints about its version. */
export function programVersion(program: PeerProgram): string {
  const { stdout, stderr } = spawnSync(program, ["--version"], { encoding: "utf8" })
  return `${stdout}${stderr}`.trim().split("\n")[0] ?? ""
}

function isThere(program: string): boolean {
  return spawnSync("sh", ["-c", 'command -v "$0"', program]).status === 0
}

function apt(...words: string[]): void {
  execFileSync("apt-get", words, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  })
}
