// A pack that turned out to be damaged: nothing that is stored afterwards relies on it, and proofs tell its copies apart.

import { type Engine, engineNames, openEngine } from "@varve/engines"
import { DirectoryObjectStore, type Manifest, type Repository, verifyVersions } from "@varve/engines/internal"
import { expect, onTestFinished, test } from "vitest"
import { bytes, contents, tinySettings } from "../engines/engine-fixture.ts"
import { simulatedSeams } from "../simulation/index.ts"
import { openRepository } from "./version-lives.ts"

const KEYS = 300
const PACKS = "/repository/packs/records"

async function write(engine: Engine, label: string, from = 0): Promise<void> {
  for (let i = from; i < KEYS; i++) {
    await engine.set(
      bytes(`key-${i}`),
      bytes(`${label} ${Math.imul(i + 1, 2_654_435_761) >>> 0} `.repeat(20)),
    )
  }
}

test.each(engineNames)(
  "%s: versions rely on a damaged pack until it is known, and not afterwards",
  async (name) => {
    const seams = simulatedSeams(1)
    const { fileSystem } = seams
    const open = async (repository: Repository): Promise<Engine> => {
      const settings = { ...tinySettings[name], ...(name !== "memory" && { compactionEnabled: false }) }
      const engine = await openEngine({ engine: name, directory: "/partition", repository, settings, seams })
      onTestFinished(() => engine.close())
      return engine
    }
    const verify = async (...versions: readonly number[]): ReturnType<typeof verifyVersions> => {
      const reader = await openRepository(seams)
      const manifests: Manifest[] = []
      for (const version of versions) {
        manifests.push(
          await reader.readManifest("default", 0, { timeline: engine.position.timeline, version }),
        )
      }
      return await verifyVersions(
        await DirectoryObjectStore.open(fileSystem, "/repository"),
        reader,
        manifests,
      )
    }
    const repository = await openRepository(seams)
    const engine = await open(repository)
    await write(engine, "first")
    await engine.snapshot({ version: 1 })
    const pack = (await fileSystem.list(PACKS)).find((key) => key.endsWith(".pack"))!
    const file = await fileSystem.open(`${PACKS}/${pack}`, "edit")
    const byte = new Uint8Array(1)
    await file!.read(byte, 100)
    await file!.write(Uint8Array.of(byte[0]! ^ 1), 100)
    await file!.close()

    await engine.set(bytes("later"), bytes("unknown damage"))
    await engine.snapshot({ version: 2 })
    const before = await verify(2)
    expect(before.damagedPacks).toEqual([pack.replace(".pack", "")])
    expect(before.damage.join()).toContain(pack)

    repository.distrust(before.damagedPacks)
    await engine.set(bytes("later"), bytes("known damage"))
    await engine.snapshot({ version: 3 })
    expect((await verify(3)).damage).toEqual([])
    expect((await verify(3, 2)).damagedVersions.map(({ version }) => version)).toEqual([2])
    // In whatever order: a run that was stored twice is proven twice.
    expect((await verify(3, 2)).damage.join()).toContain(pack)
    expect((await verify(2, 3)).damage.join()).toContain(pack)

    // Another process, which knows of no damage: chunks are where they were stored last.
    const state = await contents(engine)
    await engine.close()
    const other = await openRepository(seams)
    const again = await open(other)
    expect(await contents(again)).toEqual(state)
    await write(again, "second", KEYS / 2)
    await again.snapshot({ version: 4 })
    expect((await verify(4)).damage).toEqual([])
  },
)
