// Small files of the control plane, read whole.

import { EngineError } from "@varve/engines"
import type { FileSystem } from "@varve/engines/internal"

/**
 * The content; undefined: there is no such file.
 * @throws (rejects) EngineError `DATA_LOSS` when it is longer than `bytesMax`, `STORAGE_FAILED`
 */
export async function readSmallFile(
  fileSystem: FileSystem,
  path: string,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  const file = await fileSystem.open(path, "read")
  if (file === undefined) return undefined
  try {
    const bytes = await file.size()
    if (bytes > bytesMax) throw new EngineError("DATA_LOSS", `${path} is damaged: it has ${bytes} bytes`)
    const target = new Uint8Array(bytes)
    return target.subarray(0, await file.read(target, 0))
  } finally {
    await file.close()
  }
}
