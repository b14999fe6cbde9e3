// What a store's directory holds was made for one engine, one partition count and one partitioning. This file
// remembers them, so that a changed setting is refused instead of misreading the data.
//
//   store.json := {"format":1,"engine":…,"partitions":…,"partitioning":…} sealed as engines/src/base/sealed-json.ts

import { join } from "node:path"
import { EngineError } from "@varve/engines"
import { decodeSealedJson, encodeSealedJson, type FileSystem } from "@varve/engines/internal"
import { z } from "zod"
import { SettingsError, type StoreSettings } from "../config/settings.ts"

const FILE_NAME = "store.json"
const FORMAT = 1
const FILE_BYTES_MAX = 64 * 1024

const schema = z.strictObject({
  format: z.literal(FORMAT),
  engine: z.string(),
  partitions: z.number().int().positive(),
  partitioning: z.string(),
})

/**
 * Compares `settings` with what `directory` was made for, and writes the file when the directory is new.
 * Durable when it resolves.
 * @returns whether the store was there before
 * @throws SettingsError when a fixed setting was changed; EngineError `DATA_LOSS`, `FORMAT_NEWER`
 */
export async function checkStoreFile(
  fileSystem: FileSystem,
  directory: string,
  settings: StoreSettings,
): Promise<{ existed: boolean }> {
  await fileSystem.makeDirectory(directory)
  const path = join(directory, FILE_NAME)
  const bytes = await readWhole(fileSystem, path)
  if (bytes === undefined) {
    const { engine, partitions, partitioning } = settings
    const content: z.infer<typeof schema> = { format: FORMAT, engine, partitions, partitioning }
    await publish(fileSystem, directory, encodeSealedJson(content))
    return { existed: false }
  }
  const found = decodeSealedJson(bytes, { name: path, format: FORMAT, schema })
  for (const key of ["engine", "partitions", "partitioning"] as const) {
    if (found[key] !== settings[key]) {
      throw new SettingsError(
        `stores.${settings.name}.${key}: ${settings[key]} is not what the data in ${directory} was written with ` +
          `(${found[key]}); ${wayOut(key)}`,
      )
    }
  }
  return { existed: true }
}

/** What a person can do. The versions of another engine or partition count are converted where nothing is yet. */
function wayOut(key: "engine" | "partitions" | "partitioning"): string {
  if (key === "partitioning")
    return "set it back, or start with another data directory and another repository"
  return (
    "set it back, or start with an empty data directory on the same repository: the newest version is converted " +
    '("Changing the engine or the number of partitions" in deploy/operations.md)'
  )
}

/** Names of stores that `storesDirectory` holds. */
export async function storesOnDisk(fileSystem: FileSystem, storesDirectory: string): Promise<string[]> {
  const names: string[] = []
  for (const name of await fileSystem.list(storesDirectory)) {
    if ((await fileSystem.status(join(storesDirectory, name, FILE_NAME))) !== undefined) names.push(name)
  }
  return names
}

async function readWhole(fileSystem: FileSystem, path: string): Promise<Uint8Array | undefined> {
  const file = await fileSystem.open(path, "read")
  if (file === undefined) return undefined
  try {
    const bytes = await file.size()
    if (bytes > FILE_BYTES_MAX)
      throw new EngineError("DATA_LOSS", `${path} is damaged: it has ${bytes} bytes`)
    const target = new Uint8Array(bytes)
    return target.subarray(0, await file.read(target, 0))
  } finally {
    await file.close()
  }
}

async function publish(fileSystem: FileSystem, directory: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(directory, `${FILE_NAME}.new`)
  await fileSystem.remove(temporary)
  const file = await fileSystem.open(temporary, "create")
  try {
    await file.write(bytes, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await fileSystem.rename(temporary, join(directory, FILE_NAME))
  await fileSystem.syncDirectory(directory)
}
