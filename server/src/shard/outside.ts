// The repository as a thread of the daemon has it: its object store, and what is remembered of it. Main comes first, and
// has the object store prove what it promises, once for the whole daemon.

import {
  type ObjectStore,
  openObjectStore,
  openProvenObjectStore,
  Repository,
  type SystemSeams,
} from "@varve/engines/internal"
import type { Settings } from "../config/settings.ts"

export interface Outside {
  readonly repository: Repository
  /** The repository is not waited for any more. */
  giveUpRepository(): void
  close(): Promise<void>
}

/** For main. @throws (rejects) SettingsError, EngineError; the seams are closed then */
export function openProvenOutside(settings: Settings, seams: SystemSeams): Promise<Outside> {
  return openWith(openProvenObjectStore, settings, seams)
}

/** For a shard. @throws (rejects) as `openProvenOutside` */
export function openOutside(settings: Settings, seams: SystemSeams): Promise<Outside> {
  return openWith(openObjectStore, settings, seams)
}

async function openWith(
  open: typeof openObjectStore,
  settings: Settings,
  seams: SystemSeams,
): Promise<Outside> {
  let objectStore: ObjectStore | undefined
  try {
    objectStore = await open(settings.repository, seams)
    const { chunkCacheBytes, storing } = settings
    const repository = await Repository.open(objectStore, seams, { chunkCacheBytes, ...storing })
    return outsideOf(repository, objectStore, seams)
  } catch (error) {
    await objectStore?.close()
    await seams.close()
    throw error
  }
}

function outsideOf(repository: Repository, objectStore: ObjectStore, seams: SystemSeams): Outside {
  return {
    repository,
    giveUpRepository: () => {
      seams.closeObjectStores()
      void objectStore.close()
    },
    close: async () => {
      await repository.close()
      await objectStore.close()
    },
  }
}
