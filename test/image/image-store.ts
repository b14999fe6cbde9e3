// Images of buildah, in a folder of their own: nothing that another program built is seen or touched.

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { baseArchive, buildVolumes } from "./base-image.ts"
import { run } from "./run.ts"

/** The name that the Dockerfile gives its base; this one is found before a registry is asked. */
const BASE = "docker.io/library/node:24-slim"

/** What an image says about how it is run; fields as Docker names them. */
export interface ImageConfiguration {
  readonly User: string
  readonly Env: readonly string[]
  readonly Cmd: readonly string[]
  readonly Entrypoint: readonly string[]
  readonly WorkingDir: string
  readonly ExposedPorts: Readonly<Record<string, object>>
  readonly Volumes: Readonly<Record<string, object>>
  readonly StopSignal: string
  readonly Healthcheck: { readonly Test: readonly string[] }
}

export class ImageStore {
  readonly #folder: string
  readonly #containers: string[] = []

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async open(): Promise<ImageStore> {
    return new ImageStore(await mkdtemp(join(tmpdir(), "varve-images-")))
  }

  #arguments(args: readonly string[]): string[] {
    return ["--root", join(this.#folder, "storage"), "--runroot", join(this.#folder, "run"), ...args]
  }

  async #buildah(...args: string[]): Promise<string> {
    return (await run("buildah", this.#arguments(args))).trim()
  }

  async addBase(): Promise<void> {
    const container = await this.#buildah("from", "scratch")
    const root = await this.#buildah("mount", container)
    await run("tar", ["-xpf", await baseArchive(), "-C", root])
    await run("chroot", [root, "groupadd", "--gid", "1000", "node"])
    await run("chroot", [root, "useradd", "--uid", "1000", "--gid", "node", "--create-home", "node"])
    await this.#buildah("umount", container)
    const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    await this.#buildah("config", "--env", path, "--cmd", "node", container)
    await this.#buildah("commit", "--quiet", "--rm", container, BASE)
  }

  /** Builds the Dockerfile of a folder. */
  async build(folder: string, name: string): Promise<void> {
    // chroot: what runs in the build needs no cgroups. docker: the format that knows health checks.
    // layers: nothing is kept for another build, so a stage is one layer.
    const options = ["--isolation", "chroot", "--format", "docker", "--pull-never", "--layers=false"]
    await this.#buildah("bud", ...options, ...(await buildVolumes()), "--tag", name, folder)
  }

  async configuration(name: string): Promise<ImageConfiguration> {
    const about = JSON.parse(await this.#buildah("inspect", "--type", "image", name)) as {
      Docker: { config: ImageConfiguration }
    }
    return about.Docker.config
  }

  /** Name and size, as buildah tells it, of the images that have a name. */
  async sizes(): Promise<string[]> {
    const format = "{{.Name}}:{{.Tag}} {{.Size}}"
    const lines = (await this.#buildah("images", "--format", format)).split("\n")
    return lines.filter((line) => !line.startsWith("<none>"))
  }

  /** The root file system of an image, mounted until the store closes. */
  async mount(name: string): Promise<string> {
    const container = await this.#buildah("from", "--pull-never", name)
    this.#containers.push(container)
    return await this.#buildah("mount", container)
  }

  /** Removes all images. */
  async close(): Promise<void> {
    await this.#buildah("rm", "--all")
    await this.#buildah("rmi", "--all", "--force")
    await rm(this.#folder, { recursive: true, force: true })
  }
}
