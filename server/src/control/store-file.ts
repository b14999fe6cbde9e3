// What a store's directory holds was made for one engine, one partition count and one partitioning. This file
// remembers them, so that a changed setting is refused instead of misreading the data.
//
//   store.json := {"format":1,"engine":…,"partitions":…,"partitioning":…} sealed as engines/src/base/sealed-json.ts

import { join } from "node:path"
import { decodeSealedJson, encodeSealedJson, type FileSystem, publishFile } from "@varve/engines/internal"
import { z } from "zod"
import { SettingsError, type StoreSettings } from "../config/settings.ts"
import { readSmallFile } from "./small-file.ts"

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
 * @throws SettingsError when a fixed setting was changed; EngineError `DATA_LOSS`, `FORMAT_NEWER`
 */
export async function checkStoreFile(
  fileSystem: FileSystem,
  directory: string,
  settings: StoreSettings,
): Promise<void> {
  const path = join(directory, FILE_NAME)
  const bytes = await readSmallFile(fileSystem, path, FILE_BYTES_MAX)
  if (bytes === undefined) {
    const { engine, partitions, partitioning } = settings
    const content: z.infer<typeof schema> = { format: FORMAT, engine, partitions, partitioning }
    await publishFile(fileSystem, path, (file) => file.write(encodeSealedJson(content), 0))
    return
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
}

/** Whether `directory` holds nothing of a store: neither the file nor a partition. */
export async function isNewStore(fileSystem: FileSystem, directory: string): Promise<boolean> {
  const names = await fileSystem.list(directory)
  return !names.some((name) => name === FILE_NAME || /^\d+$/.test(name))
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
