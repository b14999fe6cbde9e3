// A project of a user: an empty folder outside the checkout into which the packages were installed as npm would get them
// from a registry, from what `npm pack` makes. For tests.

import { execFile } from "node:child_process"
import { mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const run = promisify(execFile)
const root = fileURLToPath(new URL("../../", import.meta.url))
const compiler = join(root, "node_modules/typescript/bin/tsc")
/** A registry that does not answer fails the test by this time, not by that of the whole file. */
const INSTALL_MS = 120_000

/** What a program has printed. */
export interface Printed {
  readonly stdout: string
  readonly stderr: string
}

export class InstalledProject {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Packs workspaces of this repository and installs them, and all that they depend on, into a new folder. */
  static async make(workspaces: readonly string[]): Promise<InstalledProject> {
    const folder = await realpath(await mkdtemp(join(tmpdir(), "varve-project-")))
    try {
      const flags = workspaces.flatMap((name) => ["--workspace", name])
      await run("npm", ["pack", "--silent", "--pack-destination", folder, ...flags], { cwd: root })
      const packed = (await readdir(folder)).map((name) => `./${name}`)
      await writeFile(join(folder, "package.json"), '{ "private": true }\n')
      const install = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--silent", ...packed]
      await run("npm", install, { cwd: folder, timeout: INSTALL_MS })
      return new InstalledProject(folder)
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** Where an installed package is. */
  package(name: string): string {
    return join(this.folder, "node_modules", name)
  }

  /** Files of an installed package, relative to it, sorted. */
  async files(name: string): Promise<string[]> {
    const folder = this.package(name)
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile())
    return files.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort()
  }

  /** Writes a program into the project and runs it with Node. @throws (rejects) with what it printed when it fails */
  async run(name: string, program: string, words: readonly string[] = []): Promise<Printed> {
    await writeFile(join(this.folder, name), program)
    return await run(process.execPath, [name, ...words], { cwd: this.folder })
  }

  /** Checks programs as strictly as the compiler can, types of packages included; what it says: "" when all is well. */
  async compile(programs: Readonly<Record<string, string>>, compilerOptions: object): Promise<string> {
    for (const [name, program] of Object.entries(programs)) await writeFile(join(this.folder, name), program)
    const configuration = {
      compilerOptions: { ...STRICTEST, ...compilerOptions },
      files: Object.keys(programs),
    }
    await writeFile(join(this.folder, "tsconfig.json"), JSON.stringify(configuration))
    try {
      return (await run(process.execPath, [compiler, "-p", "."], { cwd: this.folder })).stdout
    } catch (error) {
      if (error instanceof Error && "stdout" in error) return String(error.stdout)
      throw error
    }
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true })
  }
}

const STRICTEST = {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
  target: "es2023",
}
