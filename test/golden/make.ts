// `npx tsx test/golden/make.ts` (after a build) keeps the files of this generation of formats in test/golden/<GENERATION>.
// When a format changes: raise GENERATION, run this, and leave the older folders as they are.

import { existsSync } from "node:fs"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { engineNames } from "@varve/engines"
import { simulatedSeams } from "../simulation/index.ts"
import { GENERATION, samples } from "./generation.ts"
import { filesOf, live } from "./life.ts"
import { textOf } from "./sample.ts"

const SEED = 1
const folder = fileURLToPath(new URL(String(GENERATION), import.meta.url))

async function keep(path: string, content: Uint8Array | string): Promise<void> {
  const file = join(folder, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, content)
}

if (existsSync(folder) && process.argv[2] !== "--replace") {
  throw new Error(
    `${folder} is there: files of a generation that was released are never made again (--replace)`,
  )
}
await rm(folder, { recursive: true, force: true })
for (const sample of samples) {
  const bytes = await sample.make()
  await keep(`samples/${sample.name}`, bytes)
  await keep(`samples/${sample.name}.txt`, textOf(await sample.read(bytes)))
}
for (const engine of engineNames) {
  const seams = simulatedSeams(SEED)
  const text = await live(engine, seams)
  for (const [path, bytes] of filesOf(seams.fileSystem)) await keep(`lives/${engine}/files${path}`, bytes)
  await keep(`lives/${engine}/holds.txt`, textOf(text))
}
