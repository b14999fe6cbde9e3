// The arrows of imports, as rules over files.
//
//   server ─► engines    server ─► proto    client ─► proto    test ─► everything    client/examples ─► client alone
//
//   server/src:    cli ─► main ─► control (main thread) ─► shard, grpc (thread of a shard) ─► metrics, config
//
//   engines/src:   root files ─► engines/*, partition, garbage ─► versions, images ─► snapshots, hashed ─► runs, log ─► io ─► base
//
// Root files of engines/src are the doors of the package; its folders do not import them, but for those that are
// contracts without code of their own: `engine.ts`, which `partition` implements, with `engine-statistics.ts`, and
// `core.ts` between `partition` and the engines, which do not know each other.

import { dirname, join, normalize } from "node:path/posix"
import { type Import, importsOf, type SourceText } from "./source-text.ts"

/** What is wrong, where, and what to do instead. */
export interface Violation {
  readonly path: string
  readonly line: number
  readonly message: string
}

/** Packages that a package's sources and its package.json may name. */
const packageArrows: Readonly<Record<string, readonly string[]>> = {
  proto: [],
  engines: [],
  client: ["proto"],
  server: ["engines", "proto"],
}

/** Folders of engines/src from the bottom up, each with those below that it may import. */
const folderArrows: Readonly<Record<string, readonly string[]>> = {
  base: [],
  io: ["base"],
  runs: ["base", "io"],
  log: ["base", "io"],
  hashed: ["base", "io", "runs"],
  snapshots: ["base", "io", "runs", "log"],
  images: ["base", "io", "snapshots"],
  garbage: ["base", "io", "snapshots", "images"],
  versions: ["base", "io", "runs", "snapshots"],
  partition: ["base", "io", "runs", "log", "snapshots", "versions"],
  engines: ["base", "io", "runs", "log", "hashed", "snapshots"],
}
/** Folders of server/src. What runs in the thread of a shard knows nothing of the main thread's folders. */
const serverArrows: Readonly<Record<string, readonly string[]>> = {
  config: [],
  metrics: [],
  grpc: ["config", "metrics", "shard"],
  shard: ["config", "metrics", "grpc"],
  control: ["config", "metrics", "shard"],
  main: ["config", "metrics", "grpc", "shard", "control", "cli"],
  cli: ["config", "control"],
}
const contracts = ["engine.ts", "engine-statistics.ts", "core.ts"]
const contractUsers = ["partition", "engines", "hashed"]

/** Node's modules that compute and nothing else: what engines may use outside io. */
const pureModules = ["assert", "buffer", "crypto", "path", "url", "util", "zlib"]
/** Of node:crypto, what does not ask chance. */
const pureCrypto = ["createHash", "hash", "timingSafeEqual"]
/** Packages through which the outside world would come in: for engines/src/io alone. */
const ioPackages = ["piscina", "@aws-sdk/client-s3"]
/** Who may use the door for sister packages. */
const internalDoorUsers = ["server", "test"]

/** Checks the imports of one file; `path` is relative to the root of the repository. */
export function checkArrows(source: SourceText): Violation[] {
  const violations: Violation[] = []
  for (const found of importsOf(source)) {
    const message = found.specifier.startsWith(".")
      ? checkRelative(source.path, found.specifier)
      : checkBare(source.path, found)
    if (message !== undefined) violations.push({ path: source.path, line: found.line, message })
  }
  return violations
}

/** Checks the dependencies that a package.json names (all kinds but those for development). */
export function checkDependencies(packageName: string, dependencies: readonly string[]): Violation[] {
  const path = `${packageName}/package.json`
  const allowed = packageArrows[packageName] ?? []
  return dependencies.flatMap((dependency) => {
    const target = /^@varve\/(.+)$/.exec(dependency)?.[1]
    if (target !== undefined && !allowed.includes(target)) {
      return [{ path, line: 1, message: `${packageName} may not depend on ${dependency}` }]
    }
    if (packageName === "engines" && isNetworkPackage(dependency)) {
      return [
        { path, line: 1, message: `engines knows nothing of the network: ${dependency} belongs in server` },
      ]
    }
    return []
  })
}

function checkRelative(path: string, specifier: string): string | undefined {
  const target = normalize(join(dirname(path), specifier))
  if (isExample(path)) {
    return isExample(target) ? undefined : `an example is a user's program: import @varve/client by its name`
  }
  const [home, homeSource] = path.split("/")
  const [targetHome] = target.split("/")
  if (home === "test" || homeSource !== "src") return undefined
  if (home !== targetHome || !target.startsWith(`${home}/src/`)) {
    return `${specifier} leaves the package: import @varve/${targetHome} by its name`
  }
  if (isUnitTest(path)) return undefined
  if (home === "server") return checkServer(path, target)
  if (home !== "engines") return undefined

  const [, , folder, ...inner] = path.split("/")
  const [, , targetFolder, ...targetInner] = target.split("/")
  if (inner.length === 0) return undefined // a root file may import all below
  const allowed = folderArrows[folder!]
  if (allowed === undefined) return `folder ${folder} has no place among the layers: give it one in arrows.ts`
  if (targetInner.length === 0) {
    return contractUsers.includes(folder!) && contracts.includes(targetFolder!)
      ? undefined
      : `${folder} may not import ${targetFolder} of the root: move what it needs into a lower layer`
  }
  if (targetFolder === folder) {
    const [engine] = inner
    const [targetEngine] = targetInner
    const crosses = folder === "engines" && targetInner.length > 1 && engine !== targetEngine
    return crosses
      ? `engine ${engine} may not import engine ${targetEngine}: share it in a layer below`
      : undefined
  }
  return allowed.includes(targetFolder!)
    ? undefined
    : `${folder} may not import ${targetFolder}; it may import ${allowed.join(", ") || "nothing"}`
}

function checkServer(path: string, target: string): string | undefined {
  const [, , folder, ...inner] = path.split("/")
  const [, , targetFolder, ...targetInner] = target.split("/")
  if (inner.length === 0 || targetInner.length === 0 || targetFolder === folder) return undefined
  const allowed = serverArrows[folder!]
  if (allowed === undefined) return `folder ${folder} has no place in the server: give it one in arrows.ts`
  return allowed.includes(targetFolder!)
    ? undefined
    : `${folder} may not import ${targetFolder}; it may import ${allowed.join(", ") || "no other folder"}`
}

function checkBare(path: string, { specifier, names }: Import): string | undefined {
  const [home] = path.split("/")
  if (isExample(path)) {
    const mayImport = specifier === "@varve/client" || specifier.startsWith("node:")
    return mayImport ? undefined : `an example needs nothing but @varve/client and Node, not ${specifier}`
  }
  const varve = /^@varve\/([^/]+)(\/.*)?$/.exec(specifier)
  if (varve !== null) return checkSister(path, home!, varve[1]!, varve[2])
  if (home !== "engines" || isUnitTest(path)) return undefined
  if (isNetworkPackage(specifier))
    return `engines knows nothing of the network: ${specifier} belongs in server`
  if (path.startsWith("engines/src/io/")) return undefined
  if (ioPackages.includes(specifier)) return `${specifier} is for engines/src/io alone: take an Executor`
  const builtin = /^node:(.+)$/.exec(specifier)?.[1]
  if (builtin === undefined) return undefined
  if (!pureModules.includes(builtin)) {
    return `${specifier} is for engines/src/io alone: take a FileSystem, Clock, ObjectStore, Random or Executor`
  }
  if (builtin === "crypto") {
    const impure = names.length === 0 ? ["everything"] : names.filter((name) => !pureCrypto.includes(name))
    if (impure.length > 0) return `${impure.join(", ")} of node:crypto may ask chance: take a Random`
  }
  return undefined
}

function checkSister(
  path: string,
  home: string,
  target: string,
  door: string | undefined,
): string | undefined {
  if (home === "test") return undefined
  if (home === target) return `import ${path}'s own package by a relative path`
  const allowed = packageArrows[home]
  if (allowed !== undefined && !allowed.includes(target)) {
    return `${home} may not import @varve/${target}; it may import ${allowed.join(", ") || "no sister package"}`
  }
  if (door === "/internal" && internalDoorUsers.includes(home)) return undefined
  return door === undefined ? undefined : `@varve/${target}${door} is no door: import @varve/${target}`
}

function isNetworkPackage(specifier: string): boolean {
  return /^(?:node:)?(?:http|https|http2|net|tls|dgram|dns)$|^@grpc\/|^fastify|^grpc-|^ws$|^undici$/.test(
    specifier,
  )
}

function isExample(path: string): boolean {
  return path.startsWith("client/examples/")
}

function isUnitTest(path: string): boolean {
  return path.endsWith(".test.ts")
}
