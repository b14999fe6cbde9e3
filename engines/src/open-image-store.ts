// Opens the function images of a repository by its URL, with threads and connections of its own.

import { ImageStore, type ImageStoreOptions } from "./images/image-store.ts"
import { openProvenObjectStore } from "./io/object-store-url.ts"
import { systemSeams } from "./io/system-seams.ts"

/** Threads that cut, hash and write. */
const THREADS_DEFAULT = 2

/** What `openImageStore` takes. */
export interface OpenImageStoreOptions extends ImageStoreOptions {
  /** `file:DIR` or `s3://BUCKET/PREFIX`; the repository is made when there is none. Versions may be in it too. */
  readonly repository: string
  /** Threads that cut, hash and write. @default 2 */
  readonly threads?: number
}

/**
 * The images of a repository; closing it frees its threads and connections.
 * @throws (rejects) EngineError as `ImageStore.open`, and `REPOSITORY_URL_INVALID`
 */
export async function openImageStore(options: OpenImageStoreOptions): Promise<ImageStore> {
  const seams = systemSeams({ threads: options.threads ?? THREADS_DEFAULT })
  const closing: (() => Promise<void>)[] = [() => seams.close()]
  const closeAll = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close()
  }
  try {
    const objectStore = await openProvenObjectStore(options.repository, seams)
    closing.push(() => objectStore.close())
    return await ImageStore.open(objectStore, seams, { ...options, afterClose: closeAll })
  } catch (error) {
    await closeAll()
    throw error
  }
}
