// Builds the image and runs it: `npm run image`. Not among the tests, since it installs and compiles everything once more.
// As root, with Debian's buildah, runc and mmdebstrap (test/install-servers.sh).

import { deepStrictEqual, match, notStrictEqual, strictEqual } from "node:assert"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Container } from "./container.ts"
import { type ImageConfiguration, ImageStore } from "./image-store.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const program = join(root, "server/bin/varve.js")
const NAME = "localhost/varve:test"

const store = await ImageStore.open()
const data = await mkdtemp(join(tmpdir(), "varve-data-"))
let steps = 0
try {
  await step("the base image is made", () => store.addBase())
  await step("the image is built", () => store.build(root, NAME))
  const image = await store.configuration(NAME)
  const files = await store.mount(NAME)
  await step("it says how it is run", async () => checkConfiguration(image))
  await step("it holds no sources, tests or compilers", () => checkContent(files))
  await step("it runs as nobody special, writes to /data alone, and answers", () =>
    Container.use(files, image, data, (container) => checkFirstLife(container, image)),
  )
  await step("a new container on the same volume goes on", () =>
    Container.use(files, image, data, checkSecondLife),
  )
  // Process 1 gets no signal that it does not listen for, and this one waits for its input alone.
  const waiting = { ...image, Cmd: ["set", "key", "-"] }
  await step("a stop ends a command that is not the daemon", () =>
    Container.use(files, waiting, data, async (container) =>
      strictEqual(await container.stopInTime("TERM"), 143),
    ),
  )
  for (const size of await store.sizes()) console.log(size)
  console.log(`${steps} passed, 0 failed`)
} finally {
  await store.close()
  await rm(data, { recursive: true, force: true })
}

async function step(name: string, act: () => Promise<void>): Promise<void> {
  const startMs = performance.now()
  await act()
  steps++
  console.log(`ok ${steps}: ${name} (${((performance.now() - startMs) / 1000).toFixed(1)} s)`)
}

function checkConfiguration(image: ImageConfiguration): void {
  strictEqual(image.User, "node")
  strictEqual(image.StopSignal, "SIGTERM")
  deepStrictEqual(Object.keys(image.ExposedPorts).sort(), ["7400/tcp", "7480/tcp"])
  deepStrictEqual(Object.keys(image.Volumes), ["/data"])
  strictEqual(image.Healthcheck.Test[0], "CMD")
}

async function checkContent(files: string): Promise<void> {
  const packages = await readdir(join(files, "varve/node_modules"))
  const wanted = new Set(["typescript", "vitest", "@biomejs", "tsx", "@varve"])
  deepStrictEqual(
    packages.filter((name) => wanted.has(name)),
    ["@varve"],
  )
  const own = await Promise.all(
    ["proto", "engines", "server"].map((name) => readdir(join(files, "varve", name), { recursive: true })),
  )
  const notWanted = own.flat().filter((path) => /(^|\/)src\/|\.test\.|\.tsbuildinfo$|\.map$/.test(path))
  deepStrictEqual(notWanted, [])
}

async function checkFirstLife(container: Container, image: ImageConfiguration): Promise<void> {
  await container.until("ready")
  const status = (await container.execute("cat", "/proc/1/status")).output
  match(status, /^Uid:\t1000\t1000\t1000\t1000$/m)
  match(status, /^CapBnd:\t0{16}$/m)
  match(status, /^NoNewPrivs:\t1$/m)
  notStrictEqual((await container.execute("touch", "/varve/file")).code, 0)
  notStrictEqual((await container.execute("touch", "/tmp/file")).code, 0)
  const [, ...check] = image.Healthcheck.Test
  strictEqual((await container.execute(...check)).code, 0)
  strictEqual((await varve(container, "set", "user:1", "Ada")).code, 0)
  strictEqual((await varve(container, "snapshot", "7")).code, 0)
  strictEqual((await varve(container, "set", "user:2", "Grace")).code, 0)
  strictEqual(await container.stop("TERM"), 0)
}

async function checkSecondLife(container: Container): Promise<void> {
  await container.until("ready")
  strictEqual(container.log.filter(({ event }) => event === "store-continued").length, 1)
  strictEqual((await varve(container, "get", "user:2")).output.trim(), "Grace")
  strictEqual((await varve(container, "restore", "7")).code, 0)
  strictEqual((await varve(container, "get", "user:2")).code, 1)
  strictEqual((await varve(container, "get", "user:1")).output.trim(), "Ada")
  strictEqual(await container.stop("TERM"), 0)
}

/** The command line of this checkout, over the container's network. */
function varve(container: Container, ...args: string[]): ReturnType<Container["execute"]> {
  return container.fromItsNetwork(process.execPath, program, ...args)
}
